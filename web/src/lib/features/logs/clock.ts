/** Times as this page writes them, in the reader's zone or in UTC. */

export type Zone = 'local' | 'utc';

const two = (n: number): string => (n < 10 ? `0${n}` : String(n));

/** Minutes east of UTC at a moment. */
function offset(ms: number, zone: Zone): number {
  return zone === 'utc' ? 0 : -new Date(ms).getTimezoneOffset();
}

/** The moment's wall clock, as a Date whose UTC parts are to be read. */
function wall(ms: number, zone: Zone): Date {
  return new Date(ms + offset(ms, zone) * 60_000);
}

/** `14:57:31.482`, from RFC 3339. */
export function lineTime(timestamp: string, zone: Zone, withDate: boolean): string {
  const ms = Date.parse(timestamp);
  if (Number.isNaN(ms)) return timestamp;
  const at = wall(ms, zone).toISOString();
  return withDate ? `${at.slice(5, 10)} ${at.slice(11, 23)}` : at.slice(11, 23);
}

/** `2026-11-24 14:57:31.482913044 UTC+1`: everything there is to know. */
export function fullTime(timestamp: string, zone: Zone): string {
  const ms = Date.parse(timestamp);
  if (Number.isNaN(ms)) return timestamp;
  const digits = /\.(\d+)/.exec(timestamp)?.[1] ?? '000';
  const at = wall(ms, zone).toISOString();
  return `${at.slice(0, 10)} ${at.slice(11, 19)}.${digits.padEnd(3, '0')}`;
}

/** `14:57` or `14:57:30`, or with the day where the span is long: as coarse as the step allows. */
export function axisTime(ms: number, stepMs: number, zone: Zone): string {
  const at = wall(ms, zone);
  const time = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
  if (stepMs < 60_000)
    return `${time}:${two(at.getUTCSeconds())}${stepMs < 1000 ? at.toISOString().slice(19, 23) : ''}`;
  if (stepMs >= 86_400_000) return at.toISOString().slice(5, 10);
  return time === '00:00' ? at.toISOString().slice(5, 10) : time;
}

/** `14:45:00 – 15:00:00`, with days where they differ from today or one another. */
export function spanTime(fromMs: number, toMs: number, zone: Zone, nowMs: number): string {
  const [from, to, now] = [fromMs, toMs, nowMs].map((ms) => wall(ms, zone).toISOString()) as [string, string, string];
  const today = now.slice(0, 10);
  const show = (at: string, other: string): string =>
    at.slice(0, 10) === today && other.slice(0, 10) === today
      ? at.slice(11, 19)
      : `${at.slice(5, 10)} ${at.slice(11, 19)}`;
  return `${show(from, to)} – ${show(to, from)}`;
}

/** `UTC`, `UTC+1`, `UTC−3:30`. */
export function zoneName(zone: Zone, ms: number): string {
  const minutes = offset(ms, zone);
  if (minutes === 0) return 'UTC';
  const part = Math.abs(minutes) % 60;
  return `UTC${minutes < 0 ? '−' : '+'}${Math.floor(Math.abs(minutes) / 60)}${part ? `:${two(part)}` : ''}`;
}

export function zoneOffsetMs(zone: Zone, ms: number): number {
  return offset(ms, zone) * 60_000;
}

/** How long ago, in words: `40 s`, `5 min`, `3 h`, `2 days`. */
export function ago(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 90) return `${s} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  if (s < 129_600) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86_400)} days`;
}
