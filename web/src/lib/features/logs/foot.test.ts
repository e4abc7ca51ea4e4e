import { describe, expect, it } from 'vitest';
import type { Page } from './api';
import { footWords } from './foot';

const page = (part: Partial<Page>): Page => ({
  lines: [],
  total: 12_431,
  totalExact: true,
  hasMore: true,
  nextCursor: null,
  searched: { from: 0n, to: 1n },
  tookMs: 22.6,
  notices: [],
  ...part,
});

describe('the foot', () => {
  it('says how many of how many, and how long it took', () => {
    expect(footWords(page({}), 1000)).toEqual({ shown: '1,000', total: '12,431', took: '23 ms', cut: [] });
  });
  it('says "at least" for a lower bound', () => {
    expect(footWords(page({ totalExact: false }), 1000).total).toBe('at least 12,431');
  });
  it('says one number where all is shown, and never that more is shown than there is', () => {
    expect(footWords(page({ total: 7, hasMore: false }), 7).total).toBeNull();
    expect(footWords(page({ total: 7, hasMore: false }), 9).total).toBeNull();
  });
  it('passes on what cut the answer', () => {
    expect(footWords(page({ notices: ['The time budget ended at 14:50.'] }), 1).cut).toHaveLength(1);
  });
});
