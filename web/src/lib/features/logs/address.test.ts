import { describe, expect, it } from 'vitest';
import { readAddress, START, writeAddress, type PageState } from './address';
import { EVERYTHING } from './filter';

const round = (state: PageState): PageState =>
  readAddress(new URLSearchParams(writeAddress(state, new URLSearchParams()).toString()));

describe('the address', () => {
  it('is empty at the start', () => {
    expect(writeAddress(START, new URLSearchParams()).toString()).toBe('');
    expect(round(START)).toEqual(START);
  });
  it('says everything and gives it back', () => {
    const state: PageState = {
      form: 'words',
      query: '',
      line: '0123456789abcdef0123456789abcdef',
      newestFirst: true,
      live: true,
      filter: {
        services: ['api', 'a&b=c'],
        levels: ['error', 'warn'],
        text: '100% "x" + y',
        regex: true,
        matchCase: true,
        terms: [
          { text: 'a:b', regex: false, matchCase: true, not: false },
          { text: 'c', regex: true, matchCase: false, not: true },
        ],
        fields: [
          { source: 'json', name: 'path', value: '/a=b', not: false },
          { source: 'label', name: 'container', value: '', not: true },
        ],
      },
    };
    expect(round(state)).toEqual(state);
  });
  it('keeps LogQL as it was typed, and the range of the page', () => {
    const written = writeAddress(
      { ...START, form: 'logql', query: '{a="b"} |= `x`' },
      new URLSearchParams('range=1h&q=old'),
    );
    expect(written.get('range')).toBe('1h');
    expect(written.get('q')).toBeNull();
    expect(readAddress(written)).toEqual({ ...START, form: 'logql', query: '{a="b"} |= `x`' });
  });
  it('leaves out what it does not understand', () => {
    const state = readAddress(new URLSearchParams('level=loud&line=x&only=bad&has=nocolon&not=json.1x=2&service='));
    expect(state).toEqual({ ...START, filter: EVERYTHING });
  });
});
