/** How long a key is good, as it is chosen. */
export const EXPIRIES = [
  { value: '7', label: '7 days' },
  { value: '30', label: '30 days' },
  { value: '90', label: '90 days' },
  { value: '365', label: '1 year' },
  { value: 'date', label: 'Until a date …' },
  { value: 'never', label: 'Does not expire' },
] as const;

const DAY_MS = 86_400_000;
/** Days before its end at which a key is told to end soon. */
const SOON_DAYS = 7;

/** The moment as RFC 3339, null for never. `date` (YYYY-MM-DD) counts to its end, where the reader is. */
export function expiresAt(choice: string, date: string, nowMs: number): string | null {
  if (choice === 'never') return null;
  if (choice !== 'date') return new Date(nowMs + Number(choice) * DAY_MS).toISOString();
  return new Date(`${date}T23:59:59`).toISOString();
}

export type Life = 'lasting' | 'soon' | 'over';

export function lifeOf(expires: string | null, nowMs: number): Life {
  if (expires === null) return 'lasting';
  const left = Date.parse(expires) - nowMs;
  return left <= 0 ? 'over' : left < SOON_DAYS * DAY_MS ? 'soon' : 'lasting';
}
