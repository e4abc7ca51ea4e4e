import { describe, expect, it } from 'vitest';
import { chainWords } from './chain';
import { actionOptions, changesOf, isFiltered, NO_FILTERS, queryOf, readFilters } from './filters';
import { summaryOf } from './summary';

describe('filters in the address', () => {
  it('come back as they were written', () => {
    const filters = { who: 'ann', action: 'user.*', object: 'a&b=c', outcome: 'denied', text: '50% "x"' } as const;
    const params = new URLSearchParams(changesOf(filters));
    expect(readFilters(params)).toEqual(filters);
    expect(isFiltered(filters)).toBe(true);
  });

  it('are none where the address has none, and an outcome that there is not is left out', () => {
    expect(readFilters(new URLSearchParams('outcome=maybe&entry=4'))).toEqual(NO_FILTERS);
    expect(isFiltered(NO_FILTERS)).toBe(false);
  });

  it('are asked for with the bounds in nanoseconds, and nothing that is empty', () => {
    expect(queryOf(NO_FILTERS, null)).toEqual({});
    expect(queryOf({ ...NO_FILTERS, who: 'ann', text: 'x' }, { from: 1n, to: 2n })).toEqual({
      actor: 'ann',
      q: 'x',
      from: '1',
      to: '2',
    });
  });
});

describe('the actions to choose from', () => {
  it('have each noun as a whole before its verbs', () => {
    const values = actionOptions(['auth.login', 'auth.logout', 'access.denied'], '').map((option) => option.value);
    expect(values).toEqual(['', 'auth.*', 'auth.login', 'auth.logout', 'access.denied']);
  });

  it('keep one that only the address names', () => {
    expect(actionOptions([], 'user.delete').at(-1)).toEqual({ value: 'user.delete', label: 'user.delete' });
  });
});

describe('an entry in a few words', () => {
  const entry = { outcome: 'failed', object: 'u_1' };

  it('names who an id is, what was asked and why it went wrong', () => {
    const details = {
      entry: 4,
      username: 'ann',
      roles: ['viewer', 'auditor'],
      permissions: [],
      error: 'LAST_ADMINISTRATOR',
    };
    expect(summaryOf({ ...entry, details })).toBe('ann · roles viewer, auditor · LAST_ADMINISTRATOR');
  });

  it('says what was asked for first, and leaves bounds to the open entry', () => {
    const details = { buckets: 90, start: '1795535684095000000', query: '{a="b"}', method: 'GET' };
    expect(summaryOf({ ...entry, details })).toBe('query {a="b"} · buckets 90 · method GET');
  });

  it('is empty where there is nothing to add, and short where there is much', () => {
    expect(summaryOf({ ...entry, details: {} })).toBe('');
    expect(summaryOf({ ...entry, details: { q: 'x'.repeat(500) } })).toHaveLength(161);
  });
});

describe('the chain in words', () => {
  const state = { ok: true, entries: 12_431, head: '', first_bad: null, reason: '', actions: [] };
  const verified_at = '2026-11-24T12:00:00Z';

  it('says how many fit and since when that is known', () => {
    const now = Date.parse(verified_at) + 60_000;
    expect(chainWords({ ...state, verified_at }, now)).toBe('12,431 entries, verified to #12,431 60 s ago');
  });

  it('names the first entry that does not', () => {
    const broken = { ...state, verified_at, ok: false, entries: 6, first_bad: 7 };
    expect(chainWords(broken, 0)).toBe('The chain does not fit from entry #7 on');
  });
});
