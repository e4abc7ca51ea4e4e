/** What the overview makes of the services: what needs a look first. */
import type { Schemas } from '$lib/api/client';
import { ago } from '$lib/features/logs/clock';

export type Service = Schemas['ServiceInfo'];

/** Lines of level ERROR in the last 24 hours. */
export function errorsOf(service: Service): number {
  return service.levels['ERROR'] ?? 0;
}

/** Those with errors first, the most first; then by how much they log now. */
export function byNeed(services: readonly Service[]): Service[] {
  const now = (service: Service): number => service.rate.at(-1) ?? 0;
  return [...services].sort(
    (a, b) => errorsOf(b) - errorsOf(a) || now(b) - now(a) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0),
  );
}

/** `now`, `5 min ago`, or `never`. */
export function since(then: string | null, nowMs: number): string {
  if (!then) return 'never';
  const passed = nowMs - Date.parse(then);
  return passed < 10_000 ? 'now' : `${ago(passed)} ago`;
}
