/** Marks what a search found inside a line's visible text. */
import type { Styled } from './ansi';

export interface Segment extends Styled {
  readonly mark: boolean;
}

export type Matcher = (text: string) => [from: number, to: number][];

/** More marks than this in one line tell a reader nothing and cost the page. */
const MOST_MARKS = 200;

export interface Needle {
  readonly text: string;
  readonly regex: boolean;
  readonly matchCase: boolean;
}

/** Finds where needles occur. A pattern this browser cannot read marks nothing: the server has judged it already. */
export function matcherOf(needles: readonly Needle[]): Matcher {
  const patterns = needles.filter((n) => n.text !== '').map(patternOf);
  const able = patterns.filter((p) => p !== null);
  if (able.length === 0) return () => [];
  return (text) => {
    const found: [number, number][] = [];
    for (const pattern of able) {
      pattern.lastIndex = 0;
      let hit: RegExpExecArray | null;
      while (found.length < MOST_MARKS && (hit = pattern.exec(text)) !== null) {
        if (hit[0] === '') pattern.lastIndex++;
        else found.push([hit.index, hit.index + hit[0].length]);
      }
    }
    return able.length > 1 ? joined(found) : found;
  };
}

function patternOf(needle: Needle): RegExp | null {
  const flags = needle.matchCase ? 'gu' : 'giu';
  if (!needle.regex)
    return new RegExp(needle.text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&').replace(/\\-/g, '-'), flags);
  // Nested repetition can take JavaScript's engine for ever where RE2 is linear: such a pattern is not marked.
  if (/[+*}]\)?[+*{]/.test(needle.text) || needle.text.length > 500) return null;
  const inline = /^\(\?i\)/.exec(needle.text);
  try {
    return new RegExp(inline ? needle.text.slice(4) : needle.text, inline ? 'gi' : flags.replace('u', ''));
  } catch {
    return null;
  }
}

function joined(ranges: [number, number][]): [number, number][] {
  ranges.sort((a, b) => a[0] - b[0]);
  const result: [number, number][] = [];
  for (const [from, to] of ranges) {
    const last = result.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else result.push([from, to]);
  }
  return result;
}

/** Cuts styled pieces where marks begin and end. */
export function withMarks(pieces: readonly Styled[], find: Matcher): Segment[] {
  const ranges = find(pieces.length === 1 ? (pieces[0]?.text ?? '') : pieces.map((p) => p.text).join(''));
  const result: Segment[] = [];
  let at = 0;
  let next = 0;
  for (const piece of pieces) {
    const end = at + piece.text.length;
    let from = at;
    while (from < end) {
      const range = ranges[next];
      const inside = range !== undefined && range[0] <= from;
      const to = Math.min(end, range === undefined ? end : inside ? range[1] : range[0]);
      result.push({ text: piece.text.slice(from - at, to - at), classes: piece.classes, mark: inside });
      from = to;
      if (range !== undefined && from >= range[1]) next++;
    }
    at = end;
  }
  return result;
}
