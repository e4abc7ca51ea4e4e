import { describe, expect, it } from 'vitest';
import { Heights } from './heights';

const keys = (n: number): string[] => Array.from({ length: n }, (_, i) => `k${i}`);

describe('Heights', () => {
  it('places rows of one height without a table', () => {
    const heights = new Heights(22);
    heights.setKeys(keys(100_000));
    expect(heights.total).toBe(2_200_000);
    expect(heights.at(22 * 500 + 3)).toBe(500);
    expect(heights.at(-5)).toBe(0);
    expect(heights.at(9e9)).toBe(99_999);
  });
  it('moves what stands below a taller row, and nothing above', () => {
    const heights = new Heights(20);
    heights.setKeys(keys(10));
    expect(heights.measure([['k3', 100]])).toBe(true);
    expect([heights.top(3), heights.top(4), heights.total]).toEqual([60, 160, 280]);
    expect([heights.at(60), heights.at(159), heights.at(160)]).toEqual([3, 3, 4]);
    expect(heights.measure([['k3', 100.2]])).toBe(false);
    heights.forget('k3');
    expect(heights.total).toBe(200);
  });
  it('keeps measured heights by key when rows come before', () => {
    const heights = new Heights(10);
    heights.setKeys(['b']);
    heights.measure([['b', 50]]);
    heights.setKeys(['a', 'b']);
    expect([heights.top(1), heights.total]).toEqual([10, 60]);
  });
  it('has no rows without keys', () => {
    const heights = new Heights(10);
    heights.setKeys([]);
    expect([heights.at(5), heights.total, heights.top(3)]).toEqual([0, 0, 0]);
  });
});
