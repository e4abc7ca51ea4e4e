import { describe, expect, it } from 'vitest';
import type { FoundField, Service } from './api';
import { projectsOf, rateWords, worthShowing } from './tree';

const service = (id: string, project: string, containers: string[] = []): Service => ({
  id,
  project,
  status: 'active',
  lastSeen: '',
  rate: 1,
  rates: [],
  containers,
});

describe('the tree of services', () => {
  const all = [
    service('sshd', ''),
    service('worker', 'shop'),
    service('api', 'shop', ['shop-api-1']),
    service('pg', 'data'),
  ];
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

describe('fields beside the list', () => {
  const field = (name: string, source: FoundField['source'], count: number, distinct: number): FoundField => ({
    name,
    source,
    count,
    distinct,
    values: [],
  });
  it('are those that narrow it down, and those that are filtered for', () => {
    const fields = [
      field('container', 'label', 900, 3),
      field('host', 'label', 900, 1),
      field('request_id', 'json', 700, 700),
      field('message', 'json', 700, 9),
      field('status', 'json', 700, 5),
    ];
    const names = (filters: Parameters<typeof worthShowing>[1]): string[] =>
      worthShowing(fields, filters).map((f) => f.name);
    expect(names([])).toEqual(['status', 'container']);
    expect(names([{ source: 'json', name: 'request_id', value: 'x', not: false }])).toEqual([
      'request_id',
      'status',
      'container',
    ]);
  });
});
