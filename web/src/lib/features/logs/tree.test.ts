import { describe, expect, it } from 'vitest';
import type { Service } from './api';
import { projectsOf, rateWords } from './tree';

const service = (id: string, project: string, containers: string[] = []): Service => ({
  id,
  project,
  status: 'active',
  lastSeen: '',
  rate: 1,
  rates: [],
  containers: containers.map((name) => ({ name, rate: 0 })),
});

describe('the tree of services', () => {
  const all = [service('sshd', ''), service('worker', 'shop'), service('api', 'shop', ['shop-api-1']), service('pg', 'data')];
  it('groups by project, nameless last', () => {
    expect(projectsOf(all).map((p) => [p.name, p.services.map((s) => s.id)])).toEqual([
      ['data', ['pg']],
      ['shop', ['api', 'worker']],
      ['', ['sshd']],
    ]);
  });
  it('finds by service, project and container', () => {
    const found = (words: string): string[] => projectsOf(all, words).flatMap((p) => p.services.map((s) => s.id));
    expect([found('API-1'), found('data'), found('zzz')]).toEqual([['api'], ['pg'], []]);
  });
  it('says rates in few letters', () => {
    expect([0, 0.01, 0.31, 2, 9.96, 412, 12_345, 2_500_000].map(rateWords)).toEqual([
      '0',
      '<0.1',
      '0.3',
      '2',
      '10',
      '412',
      '12k',
      '2.5M',
    ]);
  });
});
