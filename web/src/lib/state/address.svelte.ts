/** The address: which page, and its parameters. All state that matters is in it, so that a copy of it shows the same. */
export class Address {
  #path = $state(location.pathname);
  #search = $state(location.search);
  readonly params = $derived(new URLSearchParams(this.#search));

  constructor() {
    addEventListener('popstate', () => this.#read());
    addEventListener('click', (event) => this.#follow(event));
  }

  get path(): string {
    return this.#path;
  }

  /** Everything behind the host, to come back to. */
  get full(): string {
    return this.#path + this.#search;
  }

  /** Go to another page, with no parameter of this one but those given. */
  open(path: string, replace = false): void {
    history[replace ? 'replaceState' : 'pushState'](null, '', path);
    this.#read();
  }

  /** Change the parameters of this page. Back undoes it, unless `replace`. */
  go(params: URLSearchParams, replace: boolean): void {
    const query = params.toString();
    this.open(query ? `${this.#path}?${query}` : this.#path, replace);
  }

  /** Set some parameters and leave the others; an empty one goes. */
  set(changes: Readonly<Record<string, string>>, replace = false): void {
    const params = new URLSearchParams(this.#search);
    for (const [name, value] of Object.entries(changes)) {
      if (value) params.set(name, value);
      else params.delete(name);
    }
    this.go(params, replace);
  }

  #read(): void {
    this.#path = location.pathname;
    this.#search = location.search;
  }

  /** Plain presses on our own links stay in this page. */
  #follow(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const link = (event.target as Element | null)?.closest?.('a');
    if (!link || link.target || link.hasAttribute('download') || link.origin !== location.origin) return;
    event.preventDefault();
    this.open(link.pathname + link.search);
  }
}

export const address = new Address();
