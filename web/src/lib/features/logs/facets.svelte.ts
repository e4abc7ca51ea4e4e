/** What stands around the list: services, counts by level and time, fields found. Each fails alone. */
import type { Ask, Counts, FoundField, LogsApi, Service } from './api';
import type { Failure, FailureOf } from './feed.svelte';

/** One thing asked again and again: the newest question wins, and what was there stays until its answer. */
export class Asked<T> {
  value = $state.raw<T | null>(null);
  loading = $state(false);
  failure = $state.raw<Failure | null>(null);
  #abort: AbortController | null = null;

  constructor(private readonly failureOf: FailureOf) {}

  async ask(fetchValue: (signal: AbortSignal) => Promise<T>): Promise<void> {
    this.#abort?.abort();
    const abort = (this.#abort = new AbortController());
    this.loading = true;
    try {
      const value = await fetchValue(abort.signal);
      if (abort.signal.aborted) return;
      this.value = value;
      this.failure = null;
    } catch (error) {
      if (abort.signal.aborted) return;
      this.failure = this.failureOf(error);
    }
    this.loading = false;
  }

  clear(): void {
    this.#abort?.abort();
    this.value = null;
    this.loading = false;
    this.failure = null;
  }
}

/** As many bars as a wide screen shows apart. */
const BARS = 90;

export class Facets {
  readonly services: Asked<Service[]>;
  readonly counts: Asked<Counts & Ask>;
  /** Counts by level as if no level were chosen, so that the others can be weighed. */
  readonly levels: Asked<Counts>;
  readonly fields: Asked<FoundField[]>;
  readonly labels: Asked<Record<string, string[]>>;

  constructor(
    private readonly api: LogsApi,
    failureOf: FailureOf,
  ) {
    this.services = new Asked(failureOf);
    this.counts = new Asked(failureOf);
    this.levels = new Asked(failureOf);
    this.fields = new Asked(failureOf);
    this.labels = new Asked(failureOf);
  }

  loadServices(): Promise<void> {
    return this.services.ask((signal) => this.api.services(signal));
  }

  loadLabels(): Promise<void> {
    return this.labels.ask((signal) => this.api.labels(signal));
  }

  /** Counts over time; `withoutLevels` is the same question with no level chosen. */
  async loadCounts(ask: Ask, withoutLevels: string): Promise<void> {
    const all = withoutLevels === ask.query;
    await Promise.all([
      this.counts.ask(async (signal) => ({ ...(await this.api.counts(ask, BARS, signal)), ...ask })),
      all ? undefined : this.levels.ask((signal) => this.api.counts({ ...ask, query: withoutLevels }, 1, signal)),
    ]);
    if (all) this.levels.clear();
  }

  loadFields(ask: Ask): Promise<void> {
    return this.fields.ask((signal) => this.api.fields(ask, signal));
  }

  /** A question that answers with numbers has no lines to count. */
  clear(): void {
    this.counts.clear();
    this.levels.clear();
    this.fields.clear();
  }
}
