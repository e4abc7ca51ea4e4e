/** The sentence under the list: what was found, of how much, where it was looked for, and what was left out. */
import type { Page } from './api';

export interface FootWords {
  readonly shown: string;
  /** `12,431`, or `at least 12,431`. Null where the count is what is shown. */
  readonly total: string | null;
  readonly took: string;
  readonly cut: readonly string[];
}

export function footWords(page: Page, shown: number): FootWords {
  const count = (n: number): string => n.toLocaleString('en');
  // Live lines come on top of what was counted.
  const total = Math.max(page.total, shown);
  const whole = page.totalExact && total === shown && !page.hasMore;
  return {
    shown: count(shown),
    total: whole ? null : `${page.totalExact ? '' : 'at least '}${count(total)}`,
    took: page.tookMs < 10_000 ? `${Math.round(page.tookMs)} ms` : `${(page.tookMs / 1000).toFixed(1)} s`,
    cut: page.notices,
  };
}
