import { describe, expect, it } from 'vitest';
import { barsOf, levelTotals, stepFor, ticksOf } from './histogram';

describe('the histogram', () => {
  it('chooses steps of a clock', () => {
    expect(stepFor(15 * 60_000, 90)).toBe(10_000);
    expect(stepFor(7 * 86_400_000, 90)).toBe(7_200_000);
    expect(stepFor(500, 90)).toBe(10);
    expect(stepFor(90 * 365 * 86_400_000, 90)).toBeGreaterThanOrEqual(365 * 86_400_000);
  });
  it('stands an empty bar where nothing was counted and sums words of one level', () => {
    const bars = barsOf({ stepMs: 10, buckets: [{ at: 23, counts: { ERROR: 2, fatal: 1, INFO: 4, odd: 1 } }] }, 5, 35);
    expect(bars.map((b) => [b.from, b.total])).toEqual([
      [3, 0],
      [13, 0],
      [23, 8],
      [33, 0],
    ]);
    expect(bars[2]?.parts).toEqual([
      { level: 'error', count: 3 },
      { level: 'info', count: 4 },
      { level: 'unknown', count: 1 },
    ]);
  });
  it('draws nothing of a span that is none', () => {
    expect(barsOf({ stepMs: 0, buckets: [] }, 0, 10)).toEqual([]);
    expect(barsOf({ stepMs: 10, buckets: [] }, 10, 10)).toEqual([]);
  });
  it('counts levels over all', () => {
    const counts = {
      stepMs: 1,
      buckets: [
        { at: 0, counts: { WARN: 1 } },
        { at: 1, counts: { warning: 2 } },
      ],
    };
    expect(levelTotals(counts).warn).toBe(3);
    expect(levelTotals(null).warn).toBe(0);
  });
  it('ticks at round times of the zone', () => {
    const day = 86_400_000;
    expect(ticksOf(0, 2 * day, 3, 3_600_000)).toEqual([day - 3_600_000, 2 * day - 3_600_000]);
    expect(ticksOf(60_000 * 45, 60_000 * 60, 6, 0)).toEqual([45, 50, 55, 60].map((m) => m * 60_000));
  });
});
