/** What the page asks of the server. The wire's shapes end here. */
import type { LogLine } from './line';
import type { Socket } from './tail';

/** A stretch of time, nanoseconds since 1970; `from` is in it, `to` is not. */
export interface Span {
  readonly from: bigint;
  readonly to: bigint;
}

export interface Ask {
  /** LogQL that answers with lines. */
  readonly query: string;
  readonly span: Span;
}

export type Direction = 'forward' | 'backward';

export interface PageAsk extends Ask {
  readonly direction: Direction;
  readonly limit: number;
  /** Lines beyond this one, in the direction asked. */
  readonly cursor?: string;
}

export interface Page {
  /** Oldest first, whatever the direction. */
  readonly lines: readonly LogLine[];
  readonly total: number;
  /** False where `total` is a lower bound. */
  readonly totalExact: boolean;
  readonly hasMore: boolean;
  readonly nextCursor: string | null;
  readonly searched: Span;
  /** How long the server took, and what it said of limits it met. */
  readonly tookMs: number;
  readonly notices: readonly string[];
}

export interface Service {
  readonly id: string;
  readonly project: string;
  readonly status: string;
  readonly lastSeen: string;
  /** Lines a minute: in the newest minute, and in the last twelve (oldest first). */
  readonly rate: number;
  readonly rates: readonly number[];
  readonly containers: readonly string[];
}

export interface Bucket {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly counts: Readonly<Record<string, number>>;
}

export interface Counts {
  readonly stepMs: number;
  readonly buckets: readonly Bucket[];
}

export interface FoundField {
  readonly name: string;
  readonly source: 'label' | 'meta' | 'json' | 'logfmt';
  /** Lines that have it, and how many values it has among them. */
  readonly count: number;
  readonly distinct: number;
  readonly values: readonly { readonly value: string; readonly count: number }[];
}

export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  /** Milliseconds since 1970 and the value there. */
  readonly points: readonly (readonly [at: number, value: number])[];
}

export type Answer =
  | { readonly kind: 'lines'; readonly page: Page }
  | { readonly kind: 'series'; readonly series: readonly Series[]; readonly tookMs: number };

export interface LogsApi {
  services(signal: AbortSignal): Promise<Service[]>;
  ask(ask: PageAsk, signal: AbortSignal): Promise<Answer>;
  counts(ask: Ask, buckets: number, signal: AbortSignal): Promise<Counts>;
  fields(ask: Ask, signal: AbortSignal): Promise<FoundField[]>;
  /** Names of streams' labels, each with its values. */
  labels(signal: AbortSignal): Promise<Record<string, string[]>>;
  around(line: LogLine, each: number, signal: AbortSignal): Promise<LogLine[]>;
  openTail(query: string, since: string | null): Promise<Socket>;
}
