/** A question to the server and its answer: the old one stays, dimmed, while the new one comes. */
import { wordsOf } from '$lib/api/errors';

/** Milliseconds under which nothing is shown of a wait: what flickers looks slower than it is. */
const PATIENCE = 150;

export class Asked<T> {
  value = $state.raw<T | null>(null);
  words = $state('');
  /** True once the wait is long enough to be told. */
  slow = $state(false);
  #turn = 0;

  constructor(private readonly ask: () => Promise<T>) {}

  async load(): Promise<void> {
    const turn = ++this.#turn;
    const timer = setTimeout(() => (this.slow = turn === this.#turn), PATIENCE);
    try {
      const value = await this.ask();
      if (turn !== this.#turn) return;
      this.value = value;
      this.words = '';
    } catch (error) {
      if (turn === this.#turn) this.words = wordsOf(error);
    } finally {
      clearTimeout(timer);
      if (turn === this.#turn) this.slow = false;
    }
  }
}
