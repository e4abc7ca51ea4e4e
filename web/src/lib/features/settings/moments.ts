/** Moments as these pages write them, where the reader is. */
import { ago, fullTime } from '$lib/features/logs/clock';

/** `24 Nov 2026`. */
export function day(timestamp: string): string {
  return new Date(timestamp).toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
}

/** `5 min ago`, `just now`. */
export function since(timestamp: string, nowMs: number): string {
  const passed = nowMs - Date.parse(timestamp);
  return passed < 10_000 ? 'just now' : `${ago(passed)} ago`;
}

/** `in 3 h`, `40 s ago`. */
export function until(timestamp: string, nowMs: number): string {
  const left = Date.parse(timestamp) - nowMs;
  return left > 0 ? `in ${ago(left)}` : since(timestamp, nowMs);
}

/** `2026-11-24 14:57:31`, for a title. */
export function exact(timestamp: string): string {
  return fullTime(timestamp, 'local').slice(0, 19);
}

/** `7 days`, `36 h`. */
export function span(seconds: number): string {
  if (seconds % 86_400 === 0) return seconds === 86_400 ? '1 day' : `${seconds / 86_400} days`;
  if (seconds % 3600 === 0) return `${seconds / 3600} h`;
  return seconds % 60 === 0 ? `${seconds / 60} min` : `${seconds} s`;
}
