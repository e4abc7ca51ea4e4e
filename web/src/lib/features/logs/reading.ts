/** What is worked out of a line for drawing it, once for each line. */
import { readAnsi, stripAnsi, type Styled } from './ansi';
import { foldedText, type LineRow } from './fold';
import type { LogLine } from './line';
import { withMarks, type Matcher, type Segment } from './marks';
import { readLine, type Reading } from './message';

/** A row shows no more than this of a line; opening it shows the rest. */
const LONGEST_SHOWN = 2000;
const LONGEST_VALUE = 120;
const MOST_BESIDE = 16;

const readings = new WeakMap<LogLine, Reading>();

export function readingOf(line: LogLine): Reading {
  let reading = readings.get(line);
  if (!reading) {
    reading = readLine(line.message);
    readings.set(line, reading);
  }
  return reading;
}

export interface RowText {
  readonly message: readonly Segment[];
  /** `name=value` pairs shown beside the message. */
  readonly beside: readonly { readonly name: string; readonly value: readonly Segment[] }[];
  /** Characters left out before and after. */
  readonly before: number;
  readonly after: number;
  /** Lines folded under this row. */
  readonly folded: number;
}

export function rowText(row: LineRow, find: Matcher): RowText {
  const reading = readingOf(row.line);
  const newline = reading.message.indexOf('\n');
  const head = newline < 0 ? reading.message : reading.message.slice(0, newline);
  const { pieces, before, after } = windowOf(head, find);
  const rest = reading.rest.slice(0, MOST_BESIDE);
  const folded = row.tail.length === 0 && !row.line.message.includes('\n') && newline < 0 ? 0 : foldedLines(row).length;
  return {
    message: withMarks(pieces, find),
    beside: rest.map(({ name, value }) => {
      const shown = stripAnsi(value.length > LONGEST_VALUE ? `${value.slice(0, LONGEST_VALUE)}…` : value);
      return { name, value: withMarks([{ text: shown, classes: '' }], find) };
    }),
    before,
    after,
    folded,
  };
}

/** The lines under a row's first one; of a JSON line, those of its message. */
export function foldedLines(row: LineRow): string[] {
  const reading = readingOf(row.line);
  if (reading.format !== 'json') return foldedText(row);
  return [...reading.message.split('\n').slice(1), ...row.tail.flatMap((l) => l.message.split('\n'))];
}

/** Of a huge line, the part around its first match: cutting it off would hide why the line is here. */
function windowOf(text: string, find: Matcher): { pieces: Styled[]; before: number; after: number } {
  if (text.length <= LONGEST_SHOWN) return { pieces: readAnsi(text), before: 0, after: 0 };
  const first = find(text.slice(0, 262_144))[0]?.[0] ?? 0;
  const from = first < LONGEST_SHOWN - 200 ? 0 : safeCut(text, first - 100);
  const to = safeCut(text, Math.min(text.length, from + LONGEST_SHOWN));
  return { pieces: readAnsi(text.slice(from, to)), before: from, after: text.length - to };
}

/** Never between the halves of a surrogate pair. */
function safeCut(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code >= 0xdc00 && code <= 0xdfff ? at + 1 : at;
}
