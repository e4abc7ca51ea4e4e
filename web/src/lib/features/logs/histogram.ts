/** The picture of how many lines came when: arithmetic of its bars and axis. */
import type { Bucket, Counts } from './api';
import { LEVELS, levelOf, type Level } from './line';

export interface Bar {
  /** Milliseconds since 1970; `to` is not in it. */
  readonly from: number;
  readonly to: number;
  readonly total: number;
  /** From the top of the stack down, levels that occur. */
  readonly parts: readonly { readonly level: Level; readonly count: number }[];
}

const STEPS_MS = [
  10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 10e3, 15e3, 30e3, 60e3, 120e3, 300e3, 600e3, 900e3, 1800e3, 3600e3, 7200e3,
  10_800e3, 21_600e3, 43_200e3, 86_400e3, 172_800e3, 604_800e3,
];

/** More bars than pixels tell nothing. */
const MOST_BARS = 2000;

/** The least step of a clock that cuts the span into no more than `most` pieces. */
export function stepFor(spanMs: number, most: number): number {
  return STEPS_MS.find((s) => spanMs / s <= most) ?? Math.ceil(spanMs / most / 604_800e3) * 604_800e3;
}

/** Bars for the whole span, in step with the server's buckets: where it counted nothing, an empty bar stands. */
export function barsOf(counts: Counts, from: number, to: number): Bar[] {
  const step = counts.stepMs;
  if (!(step > 0) || to <= from) return [];
  const origin = counts.buckets[0]?.at ?? from;
  const byIndex = new Map<number, Bucket>();
  for (const bucket of counts.buckets) byIndex.set(Math.round((bucket.at - origin) / step), bucket);
  const bars: Bar[] = [];
  for (let n = Math.floor((from - origin) / step); origin + n * step < to && bars.length < MOST_BARS; n++) {
    const sums = new Map<Level, number>();
    for (const [word, count] of Object.entries(byIndex.get(n)?.counts ?? {})) {
      const level = levelOf(word);
      sums.set(level, (sums.get(level) ?? 0) + count);
    }
    const parts = LEVELS.flatMap((level) => {
      const count = sums.get(level) ?? 0;
      return count > 0 ? [{ level, count }] : [];
    });
    const total = parts.reduce((sum, p) => sum + p.count, 0);
    bars.push({ from: origin + n * step, to: origin + (n + 1) * step, total, parts });
  }
  return bars;
}

/** How many lines of each level there are in all. */
export function levelTotals(counts: Counts | null): Record<Level, number> {
  const totals: Record<Level, number> = { error: 0, warn: 0, info: 0, debug: 0, unknown: 0 };
  for (const bucket of counts?.buckets ?? []) {
    for (const [word, count] of Object.entries(bucket.counts)) totals[levelOf(word)] += count;
  }
  return totals;
}

/** Round times for an axis, between four and eight where the span allows. */
export function ticksOf(from: number, to: number, most: number, zoneOffsetMs: number): number[] {
  const step = stepFor(to - from, Math.max(2, most));
  const ticks: number[] = [];
  // Days begin at the reader's midnight.
  for (let at = Math.ceil((from + zoneOffsetMs) / step) * step - zoneOffsetMs; at <= to; at += step) ticks.push(at);
  return ticks;
}
