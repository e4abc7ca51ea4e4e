import { describe, expect, it } from 'vitest';
import { ApiError } from '$lib/api/errors';
import type { Query } from './filters';
import { Trail, type Entry, type Fetch } from './trail.svelte';

const entry = (id: number): Entry => ({
  id,
  at: '2026-11-24T12:00:00Z',
  kind: 'user',
  actor: 'ann',
  actor_id: 'u_1',
  session: 's_1',
  address: '127.0.0.1',
  action: 'user.list',
  permission: 'users:write',
  object: '',
  outcome: 'ok',
  details: {},
  hash: `h${id}`,
});

/** A trail of `count` entries as the server pages it; `asked` is what it was asked. */
function server(count: number): { fetch: Fetch; asked: Query[] } {
  const asked: Query[] = [];
  const fetch: Fetch = (query) => {
    asked.push(query);
    const before = Number(query.cursor ?? count + 1);
    const ids = Array.from({ length: Math.max(0, before - 1) }, (_, i) => before - 1 - i).filter((id) => id <= count);
    const page = ids.slice(0, query.limit);
    const has_more = ids.length > page.length;
    return Promise.resolve({ entries: page.map(entry), has_more, next_cursor: has_more ? String(page.at(-1)) : null });
  };
  return { fetch, asked };
}

describe('the trail', () => {
  it('begins with the newest and goes on to the first, under the same question', async () => {
    const { fetch, asked } = server(150);
    const trail = new Trail(fetch);
    await trail.load({ actor: 'ann' });
    expect(trail.entries?.map((one) => one.id).slice(0, 2)).toEqual([150, 149]);
    expect(trail.older).toBe('more');
    await trail.loadOlder();
    expect(trail.entries).toHaveLength(150);
    expect(trail.entries?.at(-1)?.id).toBe(1);
    expect(trail.older).toBe('none');
    expect(asked.map((query) => query.actor)).toEqual(['ann', 'ann']);
  });

  it('keeps what it has when older ones do not come, and asks again', async () => {
    const { fetch } = server(150);
    let down = false;
    const trail = new Trail((query) =>
      down ? Promise.reject(new ApiError(503, 'UNAVAILABLE', 'away')) : fetch(query),
    );
    await trail.load({});
    down = true;
    await trail.loadOlder();
    expect(trail.entries).toHaveLength(100);
    expect(trail.olderWords).toBe('Away.');
    down = false;
    await trail.loadOlder();
    expect(trail.entries).toHaveLength(150);
    expect(trail.olderWords).toBe('');
  });

  it('shows the answer to the last question, whichever comes first', async () => {
    const waiting: ((page: Awaited<ReturnType<Fetch>>) => void)[] = [];
    const trail = new Trail(() => new Promise((resolve) => waiting.push(resolve)));
    const [first, second] = [trail.load({ actor: 'a' }), trail.load({ actor: 'b' })];
    waiting[1]?.({ entries: [entry(2)], has_more: false, next_cursor: null });
    await second;
    waiting[0]?.({ entries: [entry(1)], has_more: false, next_cursor: null });
    await first;
    expect(trail.entries?.map((one) => one.id)).toEqual([2]);
  });

  it('opens an entry with the one before it, asking only for what is not here', async () => {
    const { fetch, asked } = server(150);
    const trail = new Trail(fetch);
    await trail.load({});
    expect(await trail.one(150)).toMatchObject({ entry: { id: 150 }, before: { id: 149 } });
    expect(asked).toHaveLength(1);
    expect(await trail.one(7)).toMatchObject({ entry: { id: 7 }, before: { id: 6 } });
    expect(await trail.one(1)).toMatchObject({ entry: { id: 1 }, before: null });
    await expect(trail.one(151)).rejects.toThrow('#151');
  });
});
