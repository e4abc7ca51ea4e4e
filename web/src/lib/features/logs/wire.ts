/** The server's shapes, read into the page's own. Every question goes as LogQL: one way in, whatever the form. */
import type { Answer, Ask, Counts, FoundField, LogsApi, Page, PageAsk, Series, Service, Span } from './api';
import { toLogql, EVERYTHING, type Source } from './filter';
import { nanoseconds, type LogLine } from './line';
import type { Socket } from './tail';

/** How the page reaches the server: with the session's token, and errors as they come. */
export interface Wire {
  /** Gives a good answer. Rejects with the server's own error. */
  get(path: string, params: Record<string, string>, signal: AbortSignal): Promise<Response>;
  /** Opens a WebSocket at a path, with a ticket of its own. */
  socket(path: string, params: Record<string, string>): Promise<Socket>;
}

const ROOT = '/api/v1/logs';
/** Backlog of a tail that starts nowhere: the list has loaded what came before. */
const NO_BACKLOG = '0';

interface WirePage {
  logs: LogLine[];
  total: number;
  total_exact: boolean;
  has_more: boolean;
  next_cursor: string | null;
  searched: { from: string; to: string };
  took_ms: number;
  notices?: string[];
}
interface WireSeries {
  metric: Record<string, string>;
  values: [number, string][];
}
type WireAnswer =
  ({ resultType: 'streams' } & WirePage) | { resultType: 'matrix'; result: WireSeries[]; took_ms: number };
interface WireService {
  id: string;
  project: string;
  status: string;
  containers: string[];
  last_seen: string | null;
  rate: number[];
}
interface WireField {
  name: string;
  where: 'label' | 'metadata' | 'field';
  count: number;
  distinct: number;
  values: { value: string; count: number }[];
}

const SOURCES: Readonly<Record<WireField['where'], Source>> = { label: 'label', metadata: 'meta', field: 'json' };

export class LogsWire implements LogsApi {
  constructor(private readonly wire: Wire) {}

  async services(signal: AbortSignal): Promise<Service[]> {
    const found = await this.#json<WireService[]>('/services', {}, signal);
    return found.map((s) => ({
      id: s.id,
      project: s.project,
      status: s.status,
      lastSeen: s.last_seen ?? '',
      rate: s.rate.at(-1) ?? 0,
      rates: s.rate,
      containers: s.containers,
    }));
  }

  async ask(asked: PageAsk, signal: AbortSignal): Promise<Answer> {
    const { direction, limit, cursor } = asked;
    const more = { direction, limit: String(limit), ...(cursor === undefined ? {} : { cursor }) };
    const answer = await this.#json<WireAnswer>('/query', { ...range(asked), ...more }, signal);
    if (answer.resultType === 'matrix')
      return { kind: 'series', series: answer.result.map(seriesOf), tookMs: answer.took_ms };
    return { kind: 'lines', page: pageOf(answer, direction === 'backward') };
  }

  async counts(ask: Ask, buckets: number, signal: AbortSignal): Promise<Counts> {
    interface Wired {
      step_ms: number;
      buckets: { at: string; levels: Record<string, number> }[];
    }
    const found = await this.#json<Wired>('/query/histogram', { ...range(ask), buckets: String(buckets) }, signal);
    return { stepMs: found.step_ms, buckets: found.buckets.map((b) => ({ at: Date.parse(b.at), counts: b.levels })) };
  }

  async fields(ask: Ask, signal: AbortSignal): Promise<FoundField[]> {
    const found = await this.#json<{ fields: WireField[] }>('/query/fields', range(ask), signal);
    return found.fields.map((f) => ({
      name: f.name,
      source: SOURCES[f.where],
      count: f.count,
      distinct: f.distinct,
      values: f.values,
    }));
  }

  async around(line: LogLine, each: number, signal: AbortSignal): Promise<LogLine[]> {
    interface Wired {
      before: LogLine[];
      line: LogLine;
      after: LogLine[];
    }
    const container = line.metadata['container'];
    const query = toLogql({
      ...EVERYTHING,
      services: [line.service],
      fields: container === undefined ? [] : [{ source: 'label', name: 'container', value: container, not: false }],
    });
    const params = { query, cursor: line.cursor, before: String(each), after: String(each) };
    const found = await this.#json<Wired>('/query/context', params, signal);
    return [...found.before, found.line, ...found.after];
  }

  async labels(signal: AbortSignal): Promise<Record<string, string[]>> {
    return this.#json('/labels', {}, signal);
  }

  export(ask: Ask, format: string, signal: AbortSignal): Promise<Response> {
    return this.wire.get(`${ROOT}/query/export`, { ...range(ask), format }, signal);
  }

  openTail(query: string, since: string | null): Promise<Socket> {
    return this.wire.socket('/ws/logs', { query, ...(since === null ? { limit: NO_BACKLOG } : { since }) });
  }

  async #json<T>(path: string, params: Record<string, string>, signal: AbortSignal): Promise<T> {
    const answer = await this.wire.get(ROOT + path, params, signal);
    return (await answer.json()) as T;
  }
}

function range({ query, span }: Ask): { query: string; start: string; end: string } {
  return { query, start: String(span.from), end: String(span.to) };
}

function pageOf(wire: WirePage, backward: boolean): Page {
  const searched: Span = { from: nanoseconds(wire.searched.from), to: nanoseconds(wire.searched.to) };
  return {
    lines: backward ? wire.logs.toReversed() : wire.logs,
    total: wire.total,
    totalExact: wire.total_exact,
    hasMore: wire.has_more,
    nextCursor: wire.next_cursor,
    searched,
    tookMs: wire.took_ms,
    notices: wire.notices ?? [],
  };
}

function seriesOf(wire: WireSeries): Series {
  return {
    labels: wire.metric,
    points: wire.values.map(([seconds, value]) => [seconds * 1000, Number(value)] as const),
  };
}
