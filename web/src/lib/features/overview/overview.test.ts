import { expect, it } from 'vitest';
import { byNeed, since, type Service } from './overview';

function service(id: string, errors: number, rate: number): Service {
  return {
    id,
    name: id,
    project: '',
    hosts: [],
    containers: [],
    status: 'active',
    last_seen: null,
    lines_24h: 10,
    levels: { ERROR: errors },
    rate: [0, rate],
  };
}

it('puts what has errors first, then what logs most', () => {
  const found = byNeed([service('quiet', 0, 1), service('busy', 0, 9), service('bad', 2, 0), service('worse', 5, 0)]);
  expect(found.map((one) => one.id)).toEqual(['worse', 'bad', 'busy', 'quiet']);
});

it('says when a service was last heard', () => {
  const now = Date.parse('2026-05-01T12:00:00Z');
  expect(since('2026-05-01T11:59:58Z', now)).toBe('now');
  expect(since('2026-05-01T11:30:00Z', now)).toBe('30 min ago');
  expect(since(null, now)).toBe('never');
});
