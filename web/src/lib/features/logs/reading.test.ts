import { describe, expect, it } from 'vitest';
import { appendLines, type LineRow } from './fold';
import type { LogLine } from './line';
import { matcherOf } from './marks';
import { foldedLines, rowText } from './reading';

const row = (...messages: string[]): LineRow =>
  appendLines(
    [],
    messages.map((message, i): LogLine => ({
      timestamp: '2026-01-01T00:00:00Z',
      level: 'INFO',
      service: 'api',
      message,
      metadata: {},
      cursor: i.toString(16).padStart(32, '0'),
    })),
  )[0] as LineRow;
const nothing = matcherOf([]);
const shown = (r: LineRow, needle = ''): string =>
  rowText(r, matcherOf([{ text: needle, regex: false, matchCase: false }]))
    .message.map((s) => s.text)
    .join('');

describe('a row', () => {
  it('shows the message of JSON and its fields beside, marked where found', () => {
    const text = rowText(
      row('{"message":"slow","path":"/search"}'),
      matcherOf([{ text: 'search', regex: false, matchCase: false }]),
    );
    expect(text.message).toEqual([{ text: 'slow', classes: '', mark: false }]);
    expect(text.beside).toEqual([
      {
        name: 'path',
        value: [
          { text: '/', classes: '', mark: false },
          { text: 'search', classes: '', mark: true },
        ],
      },
    ]);
  });
  it('keeps markup as the text it is', () => {
    expect(shown(row('<script>alert(1)</script>'))).toBe('<script>alert(1)</script>');
  });
  it('shows a huge line around its match and says what it left out', () => {
    const huge = row('x'.repeat(100_000) + 'NEEDLE' + 'y'.repeat(100_000));
    expect(shown(huge, 'needle')).toContain('NEEDLE');
    const text = rowText(huge, nothing);
    expect([text.before, text.after]).toEqual([0, 198_006]);
  });
  it('never cuts a character in two', () => {
    const text = shown(row('a' + '😀'.repeat(3000)));
    expect(() => encodeURIComponent(text)).not.toThrow();
  });
  it('says how many lines are folded under it', () => {
    expect(rowText(row('Error: x\n  at y\n  at z'), nothing).folded).toBe(2);
    const json = row(JSON.stringify({ msg: 'boom\n  at a', stack: 'q' }), '  at own');
    expect(foldedLines(json)).toEqual(['  at a', '  at own']);
    expect(rowText(json, nothing).folded).toBe(2);
  });
});
