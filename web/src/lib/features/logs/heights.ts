/**
 * Where each row of a long list stands. Rows are `base` pixels high unless measured otherwise; sums are kept in one
 * array and renewed in one pass, which takes a millisecond for 100,000 rows.
 */
export class Heights {
  #base: number;
  readonly #measured = new Map<string, number>();
  #keys: readonly string[] = [];
  /** Tops of rows 0..n, the last being the whole height. Null while every row is `base` high. */
  #tops: Float64Array | null = null;

  constructor(base: number) {
    this.#base = base;
  }

  /** Rows in their order on screen. */
  setKeys(keys: readonly string[]): void {
    this.#keys = keys;
    this.#renew();
  }

  setBase(base: number): void {
    this.#base = base;
    this.#measured.clear();
    this.#renew();
  }

  /** Takes measured heights. True where any differs from what was held. */
  measure(found: Iterable<readonly [key: string, height: number]>): boolean {
    let changed = false;
    for (const [key, height] of found) {
      const was = this.#measured.get(key) ?? this.#base;
      if (Math.abs(was - height) < 0.5) continue;
      changed = true;
      if (Math.abs(height - this.#base) < 0.5) this.#measured.delete(key);
      else this.#measured.set(key, height);
    }
    if (changed) this.#renew();
    return changed;
  }

  /** Forgets a row, as when it closes. */
  forget(key: string): void {
    if (this.#measured.delete(key)) this.#renew();
  }

  get count(): number {
    return this.#keys.length;
  }

  get total(): number {
    return this.top(this.#keys.length);
  }

  /** Pixels above row `index`. */
  top(index: number): number {
    const at = Math.max(0, Math.min(index, this.#keys.length));
    return this.#tops ? (this.#tops[at] ?? 0) : at * this.#base;
  }

  height(index: number): number {
    return this.top(index + 1) - this.top(index);
  }

  /** The row at a height of `y` pixels; the nearest where there is none. */
  at(y: number): number {
    const n = this.#keys.length;
    if (n === 0) return 0;
    if (!this.#tops) return Math.max(0, Math.min(n - 1, Math.floor(y / this.#base)));
    let low = 0;
    let high = n - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#tops[middle] ?? 0) <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #renew(): void {
    if (this.#measured.size === 0) {
      this.#tops = null;
      return;
    }
    const n = this.#keys.length;
    const tops = new Float64Array(n + 1);
    let y = 0;
    for (let i = 0; i < n; i++) {
      tops[i] = y;
      y += this.#measured.get(this.#keys[i] ?? '') ?? this.#base;
    }
    tops[n] = y;
    this.#tops = tops;
    // Rows that left (a bounded buffer drops its oldest) must not keep their heights for ever.
    if (this.#measured.size > 2 * n + 1000) {
      const held = new Set(this.#keys);
      for (const key of this.#measured.keys()) if (!held.has(key)) this.#measured.delete(key);
    }
  }
}
