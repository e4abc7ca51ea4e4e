import { describe, expect, it } from 'vitest';
import { readAnsi } from './ansi';
import { matcherOf, withMarks } from './marks';

const marked = (line: string, text: string, more: { regex?: boolean; matchCase?: boolean } = {}): string[] =>
  withMarks(readAnsi(line), matcherOf([{ text, regex: false, matchCase: false, ...more }]))
    .filter((s) => s.mark)
    .map((s) => s.text);

describe('marks', () => {
  it('finds plain text whatever it holds', () => {
    expect(marked('a.b (c) a.b', 'a.b')).toEqual(['a.b', 'a.b']);
    expect(marked('axb', 'a.b')).toEqual([]);
    expect(marked('x-y/z {n} $1 ^', '-y/z {n} $1 ^')).toEqual(['-y/z {n} $1 ^']);
  });
  it('minds the case only when asked', () => {
    expect(marked('Timeout', 'TIMEOUT')).toEqual(['Timeout']);
    expect(marked('Timeout', 'TIMEOUT', { matchCase: true })).toEqual([]);
  });
  it('marks across colours, cutting at each change', () => {
    expect(marked('ti\x1b[31mmeout', 'timeout')).toEqual(['ti', 'meout']);
  });
  it('keeps every character exactly once', () => {
    const pieces = withMarks(readAnsi('aXbX\x1b[1mXc'), matcherOf([{ text: 'x', regex: false, matchCase: false }]));
    expect(pieces.map((p) => p.text).join('')).toBe('aXbXXc');
  });
  it('joins what several needles find', () => {
    const find = matcherOf([
      { text: 'abc', regex: false, matchCase: true },
      { text: 'bcd', regex: false, matchCase: true },
    ]);
    expect(find('xabcdx')).toEqual([[1, 5]]);
  });
  it('marks nothing for a pattern only the server can read, or one that would hang', () => {
    expect(marked('aaaa', '(?P<x>a)', { regex: true })).toEqual([]);
    expect(marked('a'.repeat(40) + '!', '(a+)+$', { regex: true })).toEqual([]);
  });
  it('reads an ordinary pattern, and empty matches end', () => {
    expect(marked('took 12ms, 7ms', '\\d+ms', { regex: true })).toEqual(['12ms', '7ms']);
    expect(marked('abc', 'x*', { regex: true })).toEqual([]);
  });
});
