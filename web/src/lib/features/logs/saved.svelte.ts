/** Searches a reader keeps under a name: in this browser, apart for each user. */

export interface SavedSearch {
  readonly name: string;
  /** The page's address after `?`, without the open line. */
  readonly address: string;
}

const MOST = 100;

export class SavedSearches {
  list = $state.raw<readonly SavedSearch[]>([]);
  readonly #key: string;
  readonly #storage: Pick<Storage, 'getItem' | 'setItem'>;

  constructor(user: string, storage: Pick<Storage, 'getItem' | 'setItem'> = localStorage) {
    this.#key = `pilothouse.logs.saved.${user}`;
    this.#storage = storage;
    this.list = read(storage.getItem(this.#key));
  }

  /** Keeps a search; one of the same name is replaced. */
  save(name: string, address: string): void {
    const others = this.list.filter((s) => s.name !== name);
    this.#write([{ name, address: withoutLine(address) }, ...others].slice(0, MOST));
  }

  remove(name: string): void {
    this.#write(this.list.filter((s) => s.name !== name));
  }

  #write(list: readonly SavedSearch[]): void {
    this.list = list;
    this.#storage.setItem(this.#key, JSON.stringify(list));
  }
}

/** The same search, with no line open. */
function withoutLine(address: string): string {
  return address
    .split('&')
    .filter((pair) => !pair.startsWith('line='))
    .join('&');
}

/** What an older or a broken page left is not trusted. */
function read(text: string | null): SavedSearch[] {
  try {
    const list: unknown = JSON.parse(text ?? '[]');
    if (!Array.isArray(list)) return [];
    return list.filter(
      (s): s is SavedSearch =>
        typeof s === 'object' &&
        s !== null &&
        typeof (s as SavedSearch).name === 'string' &&
        typeof (s as SavedSearch).address === 'string',
    );
  } catch {
    return [];
  }
}
