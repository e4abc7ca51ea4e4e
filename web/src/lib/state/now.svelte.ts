/** The present, for words such as "a minute ago": what reads it is drawn again as time passes. */
import { createSubscriber } from 'svelte/reactivity';

const TICK_MS = 10_000;

export class Now {
  readonly #subscribe = createSubscriber((update) => {
    const timer = setInterval(update, TICK_MS);
    return () => clearInterval(timer);
  });

  get ms(): number {
    this.#subscribe();
    return Date.now();
  }
}

export const now = new Now();
