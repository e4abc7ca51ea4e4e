import { describe, expect, it } from 'vitest';
import { appendLines, foldedText, prependLines, type LineRow } from './fold';
import type { LogLine } from './line';

let n = 0;
export const line = (message: string, more: { ms?: number; service?: string } = {}): LogLine => {
  const ns = BigInt(1_700_000_000_000 + (more.ms ?? 0)) * 1_000_000n + BigInt(n);
  return {
    timestamp: '2023-11-14T22:13:20Z',
    level: 'INFO',
    service: more.service ?? 'api',
    message,
    metadata: {},
    cursor: ns.toString(16).padStart(16, '0') + (n++).toString(16).padStart(16, '0'),
  };
};
const heads = (rows: readonly { kind: string }[]): [string, number][] =>
  (rows as LineRow[]).map((r) => [r.line.message, r.tail.length]);

describe('folding of stack traces', () => {
  it('folds the frames of Java and JavaScript under their head', () => {
    const rows = appendLines(
      [],
      [line('Error: x'), line('    at f (a.js:1)'), line('    at g (b.js:2)'), line('Caused by: y'), line('next')],
    );
    expect(heads(rows)).toEqual([
      ['Error: x', 3],
      ['next', 0],
    ]);
  });
  it('folds a Python traceback with its last line', () => {
    const rows = appendLines(
      [],
      [
        line('ERROR boom'),
        line('Traceback (most recent call last):'),
        line('  File "a.py", line 1, in f'),
        line('    g()'),
        line('ValueError: bad'),
        line('ValueError: of its own'),
      ],
    );
    expect(heads(rows)).toEqual([
      ['ERROR boom', 0],
      ['Traceback (most recent call last):', 3],
      ['ValueError: of its own', 0],
    ]);
  });
  it('keeps writers apart that interleave', () => {
    const rows = appendLines(
      [],
      [line('Error: a'), line('Error: w', { service: 'w' }), line('  at a1'), line('  at w1', { service: 'w' })],
    );
    expect(heads(rows)).toEqual([
      ['Error: a', 1],
      ['Error: w', 1],
    ]);
  });
  it('does not fold across a second of silence', () => {
    expect(appendLines([], [line('x'), line('  at y', { ms: 1500 })])).toHaveLength(2);
  });
  it('mends a trace that a page of older lines cut in two', () => {
    const first = line('Error: x');
    const second = line('  at one');
    const rows = appendLines([], [line('  at two'), line('other')]);
    expect(heads(prependLines(rows, [first, second]))).toEqual([
      ['Error: x', 2],
      ['other', 0],
    ]);
  });
  it('grows a row as a new value and leaves the old array alone', () => {
    const before = appendLines([], [line('Error: x')]);
    const after = appendLines(before, [line('  at y')]);
    expect(heads(before)).toEqual([['Error: x', 0]]);
    expect(heads(after)).toEqual([['Error: x', 1]]);
  });
  it('unfolds a line of several together with its tail', () => {
    const [row] = appendLines([], [line('Error: x\n  at y\n'), line('  at z')]);
    expect(foldedText(row as LineRow)).toEqual(['  at y', '', '  at z']);
  });
});
