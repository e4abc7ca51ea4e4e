import { describe, expect, it } from 'vitest';
import { EVERYTHING, levelsWords, toggledField, toLogql, type FieldFilter, type Filter } from './filter';
import { fromLogql } from './parse';

const filter = (part: Partial<Filter>): Filter => ({ ...EVERYTHING, ...part });
const field = (part: Partial<FieldFilter>): FieldFilter => ({
  source: 'json',
  name: 'status',
  value: '504',
  not: false,
  ...part,
});

/** Each filter, and the LogQL it says. */
const CASES: [string, Partial<Filter>, string][] = [
  ['everything', {}, '{service_name=~".+"}'],
  ['one service', { services: ['api'] }, '{service_name="api"}'],
  ['several, with specials', { services: ['a.b', 'c|d'] }, '{service_name=~"a\\\\.b|c\\\\|d"}'],
  ['text in any case', { text: 'a.b "q" \\' }, '{service_name=~".+"} |~ "(?i)a\\\\.b \\"q\\" \\\\\\\\"'],
  ['text in its case', { text: 'a{b}', matchCase: true }, '{service_name=~".+"} |= "a{b}"'],
  ['a pattern', { text: '\\d+', regex: true, matchCase: true }, '{service_name=~".+"} |~ "\\\\d+"'],
  ['a pattern in any case', { text: 'a|b', regex: true }, '{service_name=~".+"} |~ "(?i)a|b"'],
  ['levels', { levels: ['error', 'info'] }, '{service_name=~".+"} | detected_level=~"error|err|critical|fatal|info"'],
  [
    'further texts',
    { text: 'a', matchCase: true, terms: [{ text: 'b', regex: false, matchCase: true, not: true }] },
    '{service_name=~".+"} |= "a" != "b"',
  ],
  [
    'fields of each kind',
    {
      services: ['api'],
      fields: [
        field({ source: 'label', name: 'container', value: 'api-1' }),
        field({ source: 'meta', name: 'trace_id', value: 'x' }),
        field({}),
        field({ value: '500' }),
        field({ name: 'path', value: '/"', not: true }),
      ],
    },
    '{service_name="api", container="api-1"} | trace_id="x" | json | status=~"504|500" | path!="/\\""',
  ],
  [
    'only what a selector may not say alone',
    { fields: [field({ source: 'label', name: 'container', value: 'x', not: true })] },
    '{service_name=~".+", container!="x"}',
  ],
];

describe('words and LogQL', () => {
  it.each(CASES)('say the same: %s', (_, part, query) => {
    expect(toLogql(filter(part))).toBe(query);
    expect(fromLogql(query)).toEqual(filter(part));
  });
  it.each([
    'rate({a="b"}[5m])',
    '{service_name="a"} | json | line_format "{{.x}}"',
    '{service_name!="a"} or',
    '{service_name=~"a.*"}',
    '{a="b"} | status > 400',
    '{a="b"} |= "x" or "y"',
    '{a="b',
    '{a="b"} | json | logfmt | x="1"',
  ])('does not pretend that chips can say %s', (query) => {
    expect(fromLogql(query)).toBeNull();
  });
  it('keeps a part of a level exact', () => {
    const query = '{service_name=~".+"} | detected_level="critical"';
    expect(toLogql(fromLogql(query) ?? EVERYTHING)).toBe(query);
  });
  it('reads backticks and other spacing', () => {
    expect(fromLogql('{ service_name = `api` }|=`a\\b`')).toEqual(
      filter({ services: ['api'], text: 'a\\b', matchCase: true }),
    );
  });
});

describe('chips', () => {
  it('toggle, and "not" takes the place of "only"', () => {
    const only = toggledField([], field({}));
    expect(only).toEqual([field({})]);
    expect(toggledField(only, field({ not: true }))).toEqual([field({ not: true })]);
    expect(toggledField(only, field({}))).toEqual([]);
  });
  it('say a run of levels from the top as "at least"', () => {
    expect(levelsWords(['warn', 'error'])).toEqual({ relation: 'level ≥', text: 'warn' });
    expect(levelsWords(['info', 'error'])).toEqual({ relation: 'level', text: 'error, info' });
    expect(levelsWords(['warn'])).toEqual({ relation: 'level', text: 'warn' });
  });
});
