/** How this reader likes the list: kept in this browser, for it changes no one's answer. */
import type { Zone } from './clock';

const KEY = 'pilothouse.logs.reading';

export class Reading {
  wrap = $state(false);
  zone = $state<Zone>('local');
  readonly #storage: Pick<Storage, 'getItem' | 'setItem'>;

  constructor(storage: Pick<Storage, 'getItem' | 'setItem'> = localStorage) {
    this.#storage = storage;
    try {
      const held = JSON.parse(storage.getItem(KEY) ?? '{}') as { wrap?: unknown; zone?: unknown };
      this.wrap = held.wrap === true;
      this.zone = held.zone === 'utc' ? 'utc' : 'local';
    } catch {
      // What another version left is not worth a word to the reader.
      this.wrap = false;
    }
  }

  toggleWrap(): void {
    this.wrap = !this.wrap;
    this.#keep();
  }

  toggleZone(): void {
    this.zone = this.zone === 'utc' ? 'local' : 'utc';
    this.#keep();
  }

  #keep(): void {
    this.#storage.setItem(KEY, JSON.stringify({ wrap: this.wrap, zone: this.zone }));
  }
}
