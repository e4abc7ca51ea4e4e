/** The Logs page as one thing: what the address asks for, what is loaded for it, and each step a reader can take. */
import { readAddress, writeAddress, type Form, type PageState } from './address';
import type { Ask, LogsApi, Span } from './api';
import type { Vocabulary } from './editor';
import { Facets } from './facets.svelte';
import { Feed, type FailureOf } from './feed.svelte';
import { EVERYTHING, termsOf, toggled, toggledField, toLogql, type FieldFilter, type Filter } from './filter';
import type { LineRow } from './fold';
import { levelTotals } from './histogram';
import { cursorTime, nanoseconds, type Level, type LogLine } from './line';
import { matcherOf, type Needle } from './marks';
import { fromLogql, needlesOf } from './parse';
import { Viewport } from './viewport.svelte';

/** The address bar. */
export interface Place {
  readonly params: URLSearchParams;
  go(params: URLSearchParams, replace: boolean): void;
}

/** The page's time range, kept in the same address by its own part. */
export interface Range {
  /** The stretch it means now. */
  span(): Span;
  /** Changes with the range, and when the reader asks for it anew. */
  readonly key: string;
  /** True where it ends now. */
  readonly relative: boolean;
  /** Writes an absolute range (ms since 1970) into an address. */
  write(params: URLSearchParams, fromMs: number, toMs: number): void;
  /** Writes a range that ends now. */
  writeNow(params: URLSearchParams): void;
}

const ROW_PX = 22;
/** Where the line of an address is outside the range, this much around it is shown. */
const AROUND_NS = 450_000_000_000n;
/** How often the services' rates, and while following the counts, are asked again. */
const SERVICES_MS = 15_000;
const COUNTS_MS = 5_000;
/** How far back the last line is looked for where a range is empty. */
const LOOK_BACK_NS = 30n * 86_400_000_000_000n;

export class LogsView {
  readonly feed: Feed;
  readonly facets: Facets;
  readonly list = new Viewport(ROW_PX);
  /** The row that `j` and `k` move. */
  current = $state<string | null>(null);
  /** Of an empty answer: the newest line before it that matches. */
  lastBefore = $state.raw<LogLine | null>(null);
  /** The line of the address was not found. */
  missing = $state(false);
  /** The span of the newest question. */
  asked = $state.raw<Ask | null>(null);

  constructor(
    readonly api: LogsApi,
    private readonly place: Place,
    private readonly range: Range,
    failureOf: FailureOf,
  ) {
    this.feed = new Feed(api, failureOf);
    this.facets = new Facets(api, failureOf);
  }

  readonly state: PageState = $derived.by(() => readAddress(this.place.params));
  /** Null in LogQL that words cannot say. */
  readonly filter: Filter | null = $derived(
    this.state.form === 'words' ? this.state.filter : fromLogql(this.state.query),
  );
  readonly query = $derived(this.state.form === 'words' ? toLogql(this.state.filter) : this.state.query);
  /** What a new answer hangs on. */
  readonly question = $derived.by(() => `${this.query}\n${this.range.key}`);
  readonly needles: readonly Needle[] = $derived(
    this.filter ? termsOf(this.filter).filter((t) => !t.not) : needlesOf(this.query),
  );
  readonly find = $derived(matcherOf(this.needles));
  readonly levelCounts = $derived.by(() => levelTotals(this.facets.levels.value ?? this.facets.counts.value));

  /** Words that the LogQL editor offers: those of this server. */
  readonly vocabulary: Vocabulary = {
    labels: async () => Object.keys(await this.#labels()),
    values: async (label) => (await this.#labels())[label] ?? [],
    fields: () => this.facets.fields.value ?? [],
  };

  /** Keeps what stands around the list fresh while the page is looked at. Gives what ends that. */
  start(): () => void {
    void this.facets.loadServices();
    void this.facets.loadLabels();
    const services = setInterval(() => !document.hidden && void this.facets.loadServices(), SERVICES_MS);
    const counts = setInterval(() => !document.hidden && this.feed.following && void this.loadCounts(), COUNTS_MS);
    return () => {
      clearInterval(services);
      clearInterval(counts);
      this.feed.destroy();
    };
  }

  /** Asks for what the address says. */
  async load(): Promise<void> {
    const { line } = this.state;
    this.current = null;
    this.lastBefore = null;
    this.missing = false;
    if (this.state.form === 'logql' && this.query.trim() === '') return;
    const span = this.range.span();
    const moment = line === null ? null : cursorTime(line);
    const ask: Ask = { query: this.query, span: moment === null ? span : including(span, moment) };
    this.asked = ask;
    const lines = moment === null ? this.feed.load(ask) : this.feed.loadAt(ask, moment);
    await lines;
    if (this.asked !== ask || this.feed.failure) return;
    this.list.renew();
    if (line !== null) this.#show(line);
    if (this.feed.series) {
      this.facets.clear();
      return;
    }
    if (this.state.live) this.feed.follow();
    await Promise.all([this.loadCounts(), this.facets.loadFields(ask), this.#lookBack(ask)]);
  }

  /** A question with what came by following it. */
  upToNow(ask: Ask): Ask {
    if (!this.state.live) return ask;
    return { ...ask, span: { from: ask.span.from, to: this.range.span().to } };
  }

  async loadCounts(): Promise<void> {
    if (!this.asked || this.feed.series) return;
    const span = this.upToNow(this.asked).span;
    const withoutLevels = this.filter ? toLogql({ ...this.filter, levels: [] }) : this.query;
    await this.facets.loadCounts({ query: this.asked.query, span }, withoutLevels);
  }

  update(part: Partial<PageState>, replace = false): void {
    this.place.go(writeAddress({ ...this.state, ...part }, this.place.params), replace);
  }

  /** Changes the filter; in LogQL form the query is written anew. */
  refine(change: (filter: Filter) => Partial<Filter>, replace = false): void {
    const filter = this.filter;
    if (!filter) return;
    const next = { ...filter, ...change(filter) };
    if (this.state.form === 'words') this.update({ filter: next, line: null }, replace);
    else this.update({ query: toLogql(next), line: null }, replace);
  }

  toggleService(id: string): void {
    this.refine((f) => ({ services: toggled(f.services, id) }));
  }

  toggleLevel(level: Level): void {
    this.refine((f) => ({ levels: toggled(f.levels, level) }));
  }

  toggleField(field: FieldFilter): void {
    if (this.filter) this.refine((f) => ({ fields: toggledField(f.fields, field) }));
    else this.update({ query: `${this.query} ${stageOf(field)}`, line: null });
  }

  setForm(form: Form): void {
    if (form === this.state.form) return;
    if (form === 'logql') this.update({ form, query: this.query });
    else this.update({ form, filter: this.filter ?? EVERYTHING, query: '' });
  }

  runLogql(query: string): void {
    this.update({ form: 'logql', query, line: null });
  }

  setLive(live: boolean): void {
    const params = writeAddress({ ...this.state, live, line: live ? null : this.state.line }, this.place.params);
    if (live && !this.range.relative) this.range.writeNow(params);
    this.place.go(params, false);
  }

  /** Follows `live` of the address where nothing is to be asked anew. */
  syncLive(): void {
    if (this.feed.loading) return;
    if (this.state.live && !this.feed.following) void (this.feed.newer.more ? this.load() : this.feed.follow());
    if (!this.state.live && this.feed.following) this.feed.unfollow();
  }

  /** Opens a line, or closes it where it is open. */
  toggle(row: LineRow): void {
    this.current = row.key;
    this.update({ line: this.state.line === row.key ? null : row.key }, this.state.line !== null);
  }

  close(): void {
    this.missing = false;
    if (this.state.line !== null) this.update({ line: null });
  }

  /** Moves the row that keys act on. An open line goes along. */
  move(by: 1 | -1): void {
    const { rows } = this.list;
    if (rows.length === 0) return;
    const at = rows.findIndex((r) => r.key === this.current);
    const index = at < 0 ? this.list.indexAtTop() : Math.max(0, Math.min(rows.length - 1, at + by));
    const row = rows[index];
    if (!row) return;
    this.current = row.key;
    if (this.state.line !== null && row.kind === 'line') this.update({ line: row.key }, true);
    this.list.stick = false;
    this.list.reveal(row.key);
  }

  openCurrent(): void {
    const row = this.list.rows.find((r) => r.key === this.current);
    if (row?.kind === 'line') this.toggle(row);
    else if (row?.kind === 'gap') void this.feed.fillGap(row);
  }

  /** Shows the lines of a moment (ms) within the range. */
  async jump(atMs: number): Promise<void> {
    if (!this.asked || this.feed.series) return;
    if (this.state.live) this.update({ live: false });
    const moment = BigInt(Math.round(atMs)) * 1_000_000n;
    const { query, span } = this.asked;
    await this.feed.loadAt({ query, span: including(span, moment) }, moment);
    const row = this.feed.rows.find((r) => r.kind === 'line' && cursorTime(r.line.cursor) >= moment);
    if (row) this.list.reveal(row.key, 'middle');
  }

  zoom(fromMs: number, toMs: number): void {
    const params = writeAddress({ ...this.state, live: false, line: null }, this.place.params);
    this.range.write(params, Math.floor(fromMs), Math.ceil(toMs));
    this.place.go(params, false);
  }

  /** Moves the range by its own length. */
  shift(direction: -1 | 1): void {
    const { from, to } = this.range.span();
    const [start, end] = [Number(from / 1_000_000n), Number(to / 1_000_000n)];
    const by = (end - start) * direction;
    this.zoom(start + by, end + by);
  }

  /** To the newest line there is: loads it where the list ends before it. */
  async toNewest(): Promise<void> {
    if (this.feed.newer.more) await this.load();
    this.feed.setAtNewest(true);
    this.list.toNewest();
  }

  async #labels(): Promise<Record<string, string[]>> {
    if (!this.facets.labels.value) await this.facets.loadLabels();
    return this.facets.labels.value ?? {};
  }

  #show(cursor: string): void {
    const row = this.feed.rows.find(
      (r) => r.kind === 'line' && (r.key === cursor || r.tail.some((l) => l.cursor === cursor)),
    );
    this.missing = !row;
    if (!row) return;
    this.current = row.key;
    // The feed's rows reach the list with the next drawing.
    this.list.setRows(this.feed.rows, this.state.newestFirst);
    this.list.reveal(row.key, 'middle');
  }

  async #lookBack({ query, span }: Ask): Promise<void> {
    if (this.feed.rows.length > 0) return;
    const before = { from: span.from - LOOK_BACK_NS, to: span.from };
    try {
      const answer = await this.api.ask(
        { query, span: before, direction: 'backward', limit: 1 },
        new AbortController().signal,
      );
      if (answer.kind === 'lines' && this.asked?.query === query) this.lastBefore = answer.page.lines[0] ?? null;
    } catch {
      // The page says that nothing was found in the range, which stays true.
      this.lastBefore = null;
    }
  }

  /** The address of a line, with an absolute range: a colleague sees the same whenever she opens it. */
  linkTo(row: LineRow): string {
    const params = writeAddress({ ...this.state, live: false, line: row.key }, this.place.params);
    const { from, to } = including(this.asked?.span ?? this.range.span(), cursorTime(row.key));
    this.range.write(params, Number(from / 1_000_000n), Number(to / 1_000_000n) + 1);
    return `?${params}`;
  }

  /** The same service at the same moment, without any filter. */
  openAround(line: LogLine): void {
    const filter = { ...EVERYTHING, services: [line.service] };
    const params = writeAddress(
      { ...this.state, form: 'words', filter, live: false, line: line.cursor },
      this.place.params,
    );
    const at = Number(cursorTime(line.cursor) / 1_000_000n);
    this.range.write(params, at - 450_000, at + 450_000);
    this.place.go(params, false);
  }

  /** Goes to a line before the range. */
  goTo(line: LogLine): void {
    const at = Number(nanoseconds(line.timestamp) / 1_000_000n);
    this.zoom(at - 840_000, at + 60_000);
  }
}

function including(span: Span, moment: bigint): Span {
  if (moment >= span.from && moment < span.to) return span;
  return { from: moment - AROUND_NS, to: moment + AROUND_NS };
}

/** One field as a stage after a query that chips cannot say. */
function stageOf(field: FieldFilter): string {
  const parser = field.source === 'json' || field.source === 'logfmt' ? `| ${field.source} ` : '';
  return `${parser}| ${field.name}${field.not ? '!=' : '='}${JSON.stringify(field.value)}`;
}
