/**
 * Rows of the list: a line with what belongs under it, or a gap. A stack trace is one row whether its frames came
 * inside one line or as lines of their own.
 */
import { cursorTime, writerOf, type LogLine } from './line';

export interface LineRow {
  readonly kind: 'line';
  readonly key: string;
  readonly line: LogLine;
  /** Lines that came after it as its continuation, oldest first. */
  readonly tail: readonly LogLine[];
}

export type GapState = 'idle' | 'loading' | 'failed';

export interface GapRow {
  readonly kind: 'gap';
  readonly key: string;
  /** RFC 3339. */
  readonly from: string;
  readonly to: string;
  readonly dropped: number;
  /** Why, in words for a person. */
  readonly reason: string;
  readonly state: GapState;
}

export type Row = LineRow | GapRow;

const FRAME = /^(?:\s+(?:at\b|File "|in\b|\.{3} \d+ |from\b|\d+:\s|~+\^|\^)|\t\S|\s{2,}\S|Caused by: |\s*Suppressed: )/;
const TRACE_HEAD = /Traceback \(most recent call last\)/;
const LAST_OF_TRACE = /^[\w.]+(?:Error|Exception|Exit|Interrupt|Warning|Group)\b/;
/** A trace is written in one go; a line that only looks like a frame a second later is its own. */
const LONGEST_PAUSE_NS = 1_000_000_000n;
const LONGEST_TAIL = 1000;

/** True where `line` is a frame of the trace that `row` begins. */
export function continues(row: LineRow, line: LogLine): boolean {
  if (row.tail.length >= LONGEST_TAIL || writerOf(row.line) !== writerOf(line)) return false;
  const last = row.tail.at(-1) ?? row.line;
  if (cursorTime(line.cursor) - cursorTime(last.cursor) > LONGEST_PAUSE_NS) return false;
  if (FRAME.test(line.message)) return true;
  return (
    row.tail.length > 0 &&
    FRAME.test(last.message) &&
    LAST_OF_TRACE.test(line.message) &&
    (TRACE_HEAD.test(row.line.message) || row.tail.some((l) => TRACE_HEAD.test(l.message)))
  );
}

/** Appends lines (oldest first) to rows, folding traces. Gives a new array; rows that grew are new values. */
export function appendLines(rows: readonly Row[], lines: readonly LogLine[]): Row[] {
  const result = rows.slice();
  // Writers interleave: a trace goes on under its own writer's newest row, but only a recent one.
  const newest = new Map<string, number>();
  for (let i = Math.max(0, result.length - 32); i < result.length; i++) {
    const row = result[i];
    if (row?.kind === 'line') newest.set(writerOf(row.line), i);
  }
  for (const line of lines) {
    const writer = writerOf(line);
    const at = newest.get(writer);
    const row = at === undefined ? undefined : result[at];
    if (at !== undefined && row?.kind === 'line' && continues(row, line)) {
      result[at] = { ...row, tail: [...row.tail, line] };
    } else {
      newest.set(writer, result.length);
      result.push({ kind: 'line', key: line.cursor, line, tail: [] });
    }
  }
  return result;
}

/** Puts older lines (oldest first) before rows, mending a trace that the seam cut in two. */
export function prependLines(rows: readonly Row[], lines: readonly LogLine[]): Row[] {
  const before = appendLines([], lines);
  const last = before.at(-1);
  let from = 0;
  if (last?.kind === 'line') {
    const tail = [...last.tail];
    for (let row = rows[from]; row?.kind === 'line' && continues({ ...last, tail }, row.line); row = rows[++from]) {
      tail.push(row.line, ...row.tail);
    }
    before[before.length - 1] = { ...last, tail };
  }
  return from === 0 ? before.concat(rows) : before.concat(rows.slice(from));
}

/** The text under a row's first line: the rest of a line of several, then the lines of its tail. */
export function foldedText(row: LineRow): string[] {
  return [...row.line.message.split('\n').slice(1), ...row.tail.flatMap((l) => l.message.split('\n'))].filter(
    (text, i, all) => text !== '' || i < all.length - 1,
  );
}

/** The time of a row in nanoseconds. */
export function rowTime(row: Row): bigint {
  return row.kind === 'line' ? cursorTime(row.line.cursor) : BigInt(Date.parse(row.from)) * 1_000_000n;
}
