/**
 * The lines on screen: a window on the answer that grows at both ends, and the live tail at its newer end. Bounded:
 * beyond LONGEST lines the end far from the reader goes, and can be loaded again.
 */
import type { Answer, Ask, LogsApi, Page, Series, Span } from './api';
import { appendLines, prependLines, type GapRow, type GapState, type LineRow, type Row } from './fold';
import { cursorTime, nanoseconds, rfc3339, type LogLine } from './line';
import { Tail, type Gap, type TailState } from './tail';

export const PAGE = 1000;
export const LONGEST = 100_000;
/** Live lines are shown in batches: the eye reads no faster, and each batch costs one drawing. */
const BATCH_MS = 100;
/** What one press on a gap loads; where more is missing, a smaller gap stays. */
const GAP_PAGE = 5000;
/** A shorter range cannot be counted: LogQL's durations end at milliseconds. */
const SHORTEST_NS = 1_000_000n;

/** What went wrong, in words for a person. */
export interface Failure {
  readonly words: string;
  /** 1-based place in the query, where the server named one. */
  readonly line?: number;
  readonly column?: number;
}

export type FailureOf = (error: unknown) => Failure;

interface End {
  more: boolean;
  cursor: string | null;
}

export class Feed {
  rows = $state.raw<readonly Row[]>([]);
  series = $state.raw<readonly Series[] | null>(null);
  /** How long the series took. */
  seriesMs = $state(0);
  /** The newest answer for the whole range; null until one came. */
  page = $state.raw<Page | null>(null);
  lineCount = $state(0);
  loading = $state(false);
  loadingOlder = $state(false);
  loadingNewer = $state(false);
  failure = $state.raw<Failure | null>(null);
  /** A page at one end failed; the rest is still good. */
  pageFailure = $state.raw<Failure | null>(null);
  older = $state.raw<End>({ more: false, cursor: null });
  newer = $state.raw<End>({ more: false, cursor: null });
  tail = $state.raw<TailState>({ name: 'idle' });
  /** Lines that came live since the reader left the newest line. */
  unseen = $state(0);
  trouble = $state<string | null>(null);
  /** False while the reader has scrolled away from the newest line. */
  atNewest = $state(true);
  /** Counts whole renewals: the list goes to its newest end for each. */
  generation = $state(0);

  readonly #api: LogsApi;
  readonly #failureOf: FailureOf;
  readonly #tail: Tail;
  #ask: Ask | null = null;
  #abort = new AbortController();
  // Nothing drawn hangs on it.
  readonly #seen = new Set<string>();
  #pending: (LogLine[] | Gap)[] = [];
  #batch: ReturnType<typeof setTimeout> | undefined;
  #gaps = 0;
  #query = '';
  #held = false;

  constructor(api: LogsApi, failureOf: FailureOf) {
    this.#api = api;
    this.#failureOf = failureOf;
    this.#tail = new Tail({
      open: (since) => api.openTail(this.#query, since),
      listener: {
        state: (state) => {
          this.tail = state;
        },
        lines: (lines) => this.#arrive([...lines]),
        gap: (gap) => this.#arrive(gap),
        trouble: (words) => {
          this.trouble = words;
        },
      },
    });
  }

  get following(): boolean {
    return this.tail.name !== 'idle' && this.tail.name !== 'ended';
  }

  /** Asks anew, newest lines first. Old lines stay until the answer is there. */
  async load(ask: Ask): Promise<void> {
    await this.#renew(ask, async (signal) => {
      const answer = await this.#api.ask({ ...ask, direction: 'backward', limit: PAGE }, signal);
      if (answer.kind === 'series') return answer;
      return { answer, older: endOf(answer.page), newer: { more: false, cursor: null } };
    });
  }

  /** Asks anew for the lines on both sides of a moment (ns). The line a cursor named is among them. */
  async loadAt(ask: Ask, moment: bigint): Promise<void> {
    await this.#renew(ask, async (signal) => {
      const { query } = ask;
      const half = PAGE / 2;
      const span = { from: least(ask.span.from, moment - SHORTEST_NS), to: most(ask.span.to, moment + SHORTEST_NS) };
      const [before, after] = await Promise.all([
        this.#api.ask({ query, span: { from: span.from, to: moment }, direction: 'backward', limit: half }, signal),
        this.#api.ask({ query, span: { from: moment, to: span.to }, direction: 'forward', limit: half }, signal),
      ]);
      if (before.kind === 'series') return before;
      if (after.kind === 'series') return after;
      const page: Page = {
        ...after.page,
        lines: [...before.page.lines, ...after.page.lines],
        total: before.page.total + after.page.total,
        totalExact: before.page.totalExact && after.page.totalExact,
        searched: span,
        tookMs: Math.max(before.page.tookMs, after.page.tookMs),
        notices: [...before.page.notices, ...after.page.notices.filter((n) => !before.page.notices.includes(n))],
      };
      return { answer: { kind: 'lines', page }, older: endOf(before.page), newer: endOf(after.page) };
    });
  }

  /** Loads the page before the oldest line. */
  async loadOlder(): Promise<void> {
    const { more, cursor } = this.older;
    if (!more || !cursor || this.loadingOlder || this.loading) return;
    this.loadingOlder = true;
    await this.#grow('backward', cursor, (page) => {
      const lines = this.#fresh(page.lines);
      this.older = endOf(page);
      this.#set(prependLines(this.rows, lines), lines.length);
      this.#trim('newest');
    });
    this.loadingOlder = false;
  }

  /** Loads the page after the newest line, where lines are known to be. */
  async loadNewer(): Promise<void> {
    const { more, cursor } = this.newer;
    if (!more || !cursor || this.loadingNewer || this.loading) return;
    this.loadingNewer = true;
    await this.#grow('forward', cursor, (page) => {
      const lines = this.#fresh(page.lines);
      this.newer = endOf(page);
      this.#set(appendLines(this.rows, lines), lines.length);
      this.#trim('oldest');
    });
    this.loadingNewer = false;
  }

  /** Follows live, after the newest line that is here. */
  follow(): void {
    if (!this.#ask || this.newer.more || this.series) return;
    this.trouble = null;
    const to = this.page?.searched.to;
    this.#query = this.#ask.query;
    this.#tail.start(this.#newestCursor() ?? (to === undefined ? null : rfc3339(to)));
  }

  unfollow(): void {
    this.#flush();
    this.#tail.stop();
    this.unseen = 0;
  }

  retryNow(): void {
    this.#tail.retryNow();
  }

  /** The reader came to, or left, the newest line. */
  setAtNewest(at: boolean): void {
    if (at === this.atNewest) return;
    this.atNewest = at;
    if (!at) return;
    this.unseen = 0;
    this.#trim('oldest');
    if (this.#held) {
      this.#held = false;
      this.#tail.resume();
    }
  }

  /** Loads what a gap left out and puts it in its place. */
  async fillGap(gap: GapRow): Promise<void> {
    const ask = this.#ask;
    if (!ask || gap.state === 'loading') return;
    this.#markGap(gap.key, 'loading');
    try {
      const [from, to] = [nanoseconds(gap.from), nanoseconds(gap.to)];
      const span = { from, to: most(to + 1n, from + SHORTEST_NS) };
      const asked = { query: ask.query, span, direction: 'forward', limit: GAP_PAGE } as const;
      const answer = await this.#api.ask(asked, this.#abort.signal);
      if (answer.kind !== 'lines') return;
      const lines = answer.page.lines.filter((l) => cursorTime(l.cursor) <= to);
      this.#putInGap(gap, { ...answer.page, lines });
    } catch (error) {
      if (!isAbort(error)) this.#markGap(gap.key, 'failed');
    }
  }

  destroy(): void {
    this.#abort.abort();
    clearTimeout(this.#batch);
    this.#tail.stop();
  }

  async #renew(
    ask: Ask,
    fetchAnswer: (
      signal: AbortSignal,
    ) => Promise<Answer | { answer: Answer & { kind: 'lines' }; older: End; newer: End }>,
  ): Promise<void> {
    this.#abort.abort();
    const abort = (this.#abort = new AbortController());
    this.#tail.stop();
    this.loading = true;
    this.loadingOlder = this.loadingNewer = false;
    try {
      const found = await fetchAnswer(abort.signal);
      if (abort.signal.aborted) return;
      this.#clear();
      this.#ask = ask;
      if ('answer' in found) {
        this.page = found.answer.page;
        const lines = this.#fresh(found.answer.page.lines);
        this.older = found.older;
        this.newer = found.newer;
        this.#set(appendLines([], lines), lines.length);
      } else if (found.kind === 'series') {
        this.series = found.series;
        this.seriesMs = found.tookMs;
      }
      this.generation++;
      this.loading = false;
    } catch (error) {
      if (abort.signal.aborted || isAbort(error)) return;
      this.failure = this.#failureOf(error);
      this.loading = false;
    }
  }

  async #grow(direction: 'forward' | 'backward', cursor: string, take: (page: Page) => void): Promise<void> {
    const ask = this.#ask;
    const { signal } = this.#abort;
    if (!ask) return;
    this.pageFailure = null;
    try {
      // Live lines lie beyond the range that was asked for; their cursors must be within it.
      const span = including(ask.span, cursorTime(cursor));
      const answer = await this.#api.ask({ query: ask.query, span, direction, cursor, limit: PAGE }, signal);
      if (!signal.aborted && answer.kind === 'lines') take(answer.page);
    } catch (error) {
      if (!signal.aborted && !isAbort(error)) this.pageFailure = this.#failureOf(error);
    }
  }

  #clear(): void {
    clearTimeout(this.#batch);
    this.#batch = undefined;
    this.#pending = [];
    this.#seen.clear();
    this.#held = false;
    this.rows = [];
    this.series = null;
    this.page = null;
    this.failure = this.pageFailure = null;
    this.lineCount = 0;
    this.unseen = 0;
    this.trouble = null;
    this.atNewest = true;
    this.older = this.newer = { more: false, cursor: null };
  }

  /** Lines not yet here, remembered as here. */
  #fresh(lines: readonly LogLine[]): LogLine[] {
    return lines.filter((l) => {
      if (this.#seen.has(l.cursor)) return false;
      this.#seen.add(l.cursor);
      return true;
    });
  }

  #set(rows: readonly Row[], added: number): void {
    this.rows = rows;
    this.lineCount += added;
  }

  #arrive(what: LogLine[] | Gap): void {
    this.#pending.push(what);
    this.#batch ??= setTimeout(() => this.#flush(), BATCH_MS);
  }

  #flush(): void {
    clearTimeout(this.#batch);
    this.#batch = undefined;
    const pending = this.#pending;
    if (pending.length === 0) return;
    this.#pending = [];
    let rows = this.rows;
    let added = 0;
    let run: LogLine[] = [];
    const take = (): void => {
      const fresh = this.#fresh(run);
      run = [];
      if (fresh.length === 0) return;
      rows = appendLines(rows, fresh);
      added += fresh.length;
    };
    for (const what of pending) {
      if (Array.isArray(what)) {
        for (const line of what) run.push(line);
        continue;
      }
      take();
      const gap: GapRow = { kind: 'gap', key: `gap-${++this.#gaps}`, ...what, state: 'idle' };
      rows = [...rows, gap];
    }
    take();
    if (rows === this.rows) return;
    this.#set(rows, added);
    if (this.atNewest) this.#trim('oldest');
    else {
      this.unseen += added;
      // What the reader looks at must not go: the server holds the rest until she comes back.
      if (this.lineCount > LONGEST && !this.#held) {
        this.#held = true;
        this.#tail.pause();
      }
    }
  }

  /** Drops what is beyond LONGEST at one end, by whole rows. */
  #trim(end: 'oldest' | 'newest'): void {
    let excess = this.lineCount - LONGEST;
    if (excess <= 0) return;
    const rows = this.rows;
    let drop = 0;
    const gone: LineRow[] = [];
    while (excess > 0 && drop < rows.length) {
      const row = rows[end === 'oldest' ? drop : rows.length - 1 - drop];
      drop++;
      if (row?.kind !== 'line') continue;
      gone.push(row);
      excess -= 1 + row.tail.length;
    }
    for (const row of gone) {
      this.#seen.delete(row.line.cursor);
      for (const l of row.tail) this.#seen.delete(l.cursor);
      this.lineCount -= 1 + row.tail.length;
    }
    if (end === 'oldest') {
      this.rows = rows.slice(drop);
      this.older = { more: true, cursor: firstCursor(this.rows) };
    } else {
      this.rows = rows.slice(0, rows.length - drop);
      this.newer = { more: true, cursor: this.#newestCursor() };
      // The live tail hangs at the newest end, which is gone now.
      this.#tail.stop();
    }
  }

  #newestCursor(): string | null {
    for (let i = this.rows.length - 1; i >= 0; i--) {
      const row = this.rows[i];
      if (row?.kind === 'line') return (row.tail.at(-1) ?? row.line).cursor;
    }
    return null;
  }

  #markGap(key: string, state: GapState): void {
    this.rows = this.rows.map((r) => (r.kind === 'gap' && r.key === key ? { ...r, state } : r));
  }

  #putInGap(gap: GapRow, page: Page): void {
    const at = this.rows.findIndex((r) => r.key === gap.key);
    if (at < 0) return;
    const lines = this.#fresh(page.lines);
    const last = page.lines.at(-1);
    const rest: GapRow[] =
      page.hasMore && last
        ? [
            {
              ...gap,
              key: `gap-${++this.#gaps}`,
              from: last.timestamp,
              dropped: Math.max(1, gap.dropped - lines.length),
              state: 'idle',
            },
          ]
        : [];
    const filled = appendLines([], lines);
    this.#set([...this.rows.slice(0, at), ...filled, ...rest, ...this.rows.slice(at + 1)], lines.length);
  }
}

function endOf(page: Page): End {
  return { more: page.hasMore && page.nextCursor !== null, cursor: page.nextCursor };
}

const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const most = (a: bigint, b: bigint): bigint => (a > b ? a : b);

function including({ from, to }: Span, moment: bigint): Span {
  return { from: least(from, moment), to: most(to, moment + 1n) };
}

function firstCursor(rows: readonly Row[]): string | null {
  for (const row of rows) if (row.kind === 'line') return row.line.cursor;
  return null;
}

function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}
