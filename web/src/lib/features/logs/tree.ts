/** Services as a tree: project → service → container. */
import type { FoundField, Service } from './api';
import type { FieldFilter } from './filter';

export interface Project {
  /** Empty for services of no project. */
  readonly name: string;
  readonly services: readonly Service[];
}

/** Projects by name, those without one last; services by name. Where `words` are given, only what holds them. */
export function projectsOf(services: readonly Service[], words = ''): Project[] {
  const needle = words.trim().toLowerCase();
  const groups = new Map<string, Service[]>();
  for (const service of services) {
    const texts = [service.id, service.project, ...service.containers];
    if (needle && !texts.some((t) => t.toLowerCase().includes(needle))) continue;
    groups.set(service.project, [...(groups.get(service.project) ?? []), service]);
  }
  return [...groups]
    .sort(([a], [b]) => (a === '' ? 1 : b === '' ? -1 : a.localeCompare(b)))
    .map(([name, inside]) => ({ name, services: inside.toSorted((a, b) => a.id.localeCompare(b.id)) }));
}

/** Lines a minute as a reader takes them in: `412`, `0.3`, `12k`. */
export function rateWords(rate: number): string {
  if (rate === 0) return '0';
  if (rate < 0.1) return '<0.1';
  if (rate < 9.95) return rate.toFixed(1).replace(/\.0$/, '');
  if (rate < 9999.5) return Math.round(rate).toLocaleString('en');
  return rate < 999_500 ? `${Math.round(rate / 1000)}k` : `${(rate / 1e6).toFixed(1)}M`;
}

/** Fields that repeat the line's time, level or message are no help in narrowing it down. */
const SAID_ELSEWHERE = /^(?:@?timestamp|time|ts|datetime|level|severity|lvl|loglevel|message|msg|log|event)$/i;

/** Fields worth a place beside the list: not those that differ in every line, unless a filter is on them. */
export function worthShowing(fields: readonly FoundField[], filters: readonly FieldFilter[]): FoundField[] {
  const unlike = (f: FoundField): boolean => f.distinct > 20 && f.distinct > f.count * 0.5;
  return fields
    .filter(
      (f) =>
        filters.some((one) => one.name === f.name && one.source === f.source) ||
        (!SAID_ELSEWHERE.test(f.name) && !unlike(f) && (f.source !== 'label' || f.distinct > 1)),
    )
    .toSorted((a, b) => Number(a.source === 'label') - Number(b.source === 'label'));
}
