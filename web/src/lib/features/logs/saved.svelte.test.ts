import { describe, expect, it } from 'vitest';
import { SavedSearches } from './saved.svelte';

const storage = (): Pick<Storage, 'getItem' | 'setItem'> => {
  const held = new Map<string, string>();
  return { getItem: (k) => held.get(k) ?? null, setItem: (k, v) => void held.set(k, v) };
};

describe('saved searches', () => {
  it('come back, newest first, one for each name, without the open line', () => {
    const held = storage();
    const saved = new SavedSearches('ann', held);
    saved.save('a', 'q=1&line=x');
    saved.save('b', 'q=2');
    saved.save('a', 'q=3');
    expect(new SavedSearches('ann', held).list).toEqual([
      { name: 'a', address: 'q=3' },
      { name: 'b', address: 'q=2' },
    ]);
    saved.remove('a');
    expect(saved.list).toHaveLength(1);
  });
  it('are apart for each user', () => {
    const held = storage();
    new SavedSearches('ann', held).save('a', 'q=1');
    expect(new SavedSearches('bob', held).list).toEqual([]);
  });
  it('survive what is not theirs in the storage', () => {
    const held = storage();
    held.setItem('pilothouse.logs.saved.ann', '{"x":1}');
    expect(new SavedSearches('ann', held).list).toEqual([]);
    held.setItem('pilothouse.logs.saved.ann', '[{"name":1},null,{"name":"a","address":"b"}]');
    expect(new SavedSearches('ann', held).list).toEqual([{ name: 'a', address: 'b' }]);
  });
});
