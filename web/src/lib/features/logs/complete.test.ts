import { describe, expect, it } from 'vitest';
import { placeAt } from './complete';

/** The place of the `^` in a query. */
const place = (marked: string): unknown => {
  const at = marked.indexOf('^');
  return placeAt(marked.replace('^', ''), at);
};

describe('completion', () => {
  it.each([
    ['^', { kind: 'function', from: 0 }],
    ['ra^', { kind: 'function', from: 0 }],
    ['sum(ra^', { kind: 'function', from: 4 }],
    ['{^', { kind: 'label', from: 1 }],
    ['{ser^', { kind: 'label', from: 1 }],
    ['{a="b", c^', { kind: 'label', from: 8 }],
    ['{a="b" ^', { kind: 'none' }],
    ['{service_name="a^', { kind: 'value', from: 15, label: 'service_name', selector: true }],
    ['{service_name =~ "^"}', { kind: 'value', from: 18, label: 'service_name', selector: true }],
    ['{a="b"} | ^', { kind: 'stage', from: 10 }],
    ['{a="b"} | js^', { kind: 'stage', from: 10 }],
    ['{a="b"} |= "ti^', { kind: 'none' }],
    ['{a="b"} |= `x` | json | st^', { kind: 'stage', from: 24 }],
    ['{a="b"} | json | status="5^', { kind: 'value', from: 25, label: 'status', selector: false }],
    ['{a="b\\"^', { kind: 'value', from: 4, label: 'a', selector: true }],
    ['rate({a="b"}[^', { kind: 'range', from: 13 }],
    ['{a=^', { kind: 'none' }],
    ['{a="b"} | line_format "x^', { kind: 'none' }],
  ])('knows the place in %s', (query, expected) => {
    expect(place(query)).toEqual(expected);
  });
});
