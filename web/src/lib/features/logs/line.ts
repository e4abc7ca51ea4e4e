/** One log line as the API gives it, and what every part of the page asks of it. */

export interface LogLine {
  /** RFC 3339, UTC, nanoseconds kept. */
  readonly timestamp: string;
  /** As the API names it: DEBUG, INFO, WARN, ERROR, or another word where none of them fits. */
  readonly level: string;
  readonly service: string;
  /** The line as it was written, untrusted. */
  readonly message: string;
  /** Labels of the stream and structured metadata, untrusted. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Names this line for good: 16 hex digits of time (ns), 8 of the stream, 8 of the text. */
  readonly cursor: string;
}

export const LEVELS = ['error', 'warn', 'info', 'debug', 'unknown'] as const;
export type Level = (typeof LEVELS)[number];

const LEVEL_OF: Readonly<Record<string, Level>> = {
  error: 'error',
  err: 'error',
  critical: 'error',
  fatal: 'error',
  warn: 'warn',
  warning: 'warn',
  info: 'info',
  debug: 'debug',
  trace: 'debug',
};

/** The page's level for any word the API or a backend uses. */
export function levelOf(word: string | undefined): Level {
  return LEVEL_OF[(word ?? '').toLowerCase()] ?? 'unknown';
}

/** The nanoseconds a cursor names. Zero where it is no cursor. */
export function cursorTime(cursor: string): bigint {
  return isCursor(cursor) ? BigInt(`0x${cursor.slice(0, 16)}`) : 0n;
}

export function isCursor(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}

/** Nanoseconds since 1970 of an RFC 3339 time. */
export function nanoseconds(timestamp: string): bigint {
  const parts = /^(.*?)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(timestamp);
  if (!parts) return 0n;
  const seconds = Date.parse(`${parts[1]}${parts[3]}`);
  if (Number.isNaN(seconds)) return 0n;
  return BigInt(seconds) * 1_000_000n + BigInt((parts[2] ?? '').padEnd(9, '0'));
}

/** RFC 3339 with nine digits, UTC. */
export function rfc3339(ns: bigint): string {
  const whole = ns / 1_000_000_000n;
  const part = ns - whole * 1_000_000_000n;
  return `${new Date(Number(whole) * 1000).toISOString().slice(0, 19)}.${part.toString().padStart(9, '0')}Z`;
}

/** What keeps lines of one writer together: a stack trace never runs from one container into another. */
export function writerOf(line: LogLine): string {
  return `${line.service}\0${line.metadata['container'] ?? ''}\0${line.metadata['stream'] ?? ''}`;
}
