/** The entries on the page: the newest that fit, and those before them as they are asked for. */
import { client, good, type Schemas } from '$lib/api/client';
import { ApiError, wordsOf } from '$lib/api/errors';
import type { Query } from './filters';

export type Entry = Schemas['EntryAnswer'];
export type Fetch = (query: Query) => Promise<Schemas['AuditAnswer']>;

/** Entries of one page: more than fit on a screen, few enough to come at once. */
const PAGE = 100;
/** Milliseconds under which nothing is shown of a wait. */
const PATIENCE = 150;

const ask: Fetch = (query) => good(client.GET('/api/v1/audit', { params: { query } }));

export class Trail {
  entries = $state.raw<readonly Entry[] | null>(null);
  words = $state('');
  olderWords = $state('');
  slow = $state(false);
  older = $state<'none' | 'more' | 'coming'>('none');
  #query: Query = {};
  #cursor = '';
  #turn = 0;

  constructor(private readonly fetch: Fetch = ask) {}

  /** The newest entries that fit. Those of the last question stay until they are there. */
  async load(query: Query): Promise<void> {
    const turn = ++this.#turn;
    const timer = setTimeout(() => (this.slow = turn === this.#turn), PATIENCE);
    try {
      const page = await this.fetch({ ...query, limit: PAGE });
      if (turn !== this.#turn) return;
      this.#query = query;
      this.entries = page.entries;
      this.words = this.olderWords = '';
      this.#take(page);
    } catch (error) {
      if (turn === this.#turn) this.words = wordsOf(error);
    } finally {
      clearTimeout(timer);
      if (turn === this.#turn) this.slow = false;
    }
  }

  async loadOlder(): Promise<void> {
    if (this.older !== 'more') return;
    const turn = this.#turn;
    this.older = 'coming';
    this.olderWords = '';
    try {
      const page = await this.fetch({ ...this.#query, cursor: this.#cursor, limit: PAGE });
      if (turn !== this.#turn) return;
      this.entries = [...(this.entries ?? []), ...page.entries];
      this.#take(page);
    } catch (error) {
      if (turn !== this.#turn) return;
      this.older = 'more';
      this.olderWords = wordsOf(error);
    }
  }

  #take(page: Schemas['AuditAnswer']): void {
    this.#cursor = page.next_cursor ?? '';
    this.older = page.has_more ? 'more' : 'none';
  }

  /** An entry by its number, and the one before it, whose hash it continues. Rejects with ApiError. */
  async one(id: number): Promise<{ entry: Entry; before: Entry | null }> {
    const here = this.entries ?? [];
    const at = here.findIndex((entry) => entry.id === id);
    const [entry, next] = [here[at], here[at + 1]];
    if (entry && (next?.id === id - 1 || id === 1)) return { entry, before: next ?? null };
    // A cursor is the number of a page's last entry: the page after it begins with the one below.
    const { entries } = await this.fetch({ cursor: String(id + 1), limit: 2 });
    const [found, before] = entries;
    if (found?.id !== id) throw new ApiError(404, 'NOT_FOUND', `There is no entry #${id} in the trail`);
    return { entry: found, before: before?.id === id - 1 ? before : null };
  }
}
