/** Moments of the trail, where the reader is. */
import { fullTime } from '$lib/features/logs/clock';

/** `2026-11-24 14:57:31`. */
export function exact(timestamp: string): string {
  return fullTime(timestamp, 'local').slice(0, 19);
}
