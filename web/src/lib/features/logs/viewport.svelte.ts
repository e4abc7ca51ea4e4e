/**
 * Which rows are drawn, and where. Whatever comes above, below or into a row, the text the reader looks at stays
 * where it is; only a reader at the newest line is taken along.
 */
import type { Row } from './fold';
import { Heights } from './heights';

/** Drawn beyond each edge, so that a quick flick meets no empty space. */
const OVERSCAN_PX = 400;
/** Nearer than this to the newest end is "at" it. */
const NEAR_PX = 12;

interface Anchor {
  readonly key: string;
  /** Pixels between the top of the view and the top of the row. */
  readonly offset: number;
}

export class Viewport {
  /** Rows in their order on screen. */
  rows = $state.raw<readonly Row[]>([]);
  top = $state(0);
  height = $state(0);
  newestFirst = $state(false);
  stick = $state(true);
  /** Counts what moved rows; what is drawn hangs on it. */
  #version = $state(0);
  /** Where the element's own scroll position must follow; null where it stands right. */
  #target: number | null = null;

  readonly #heights: Heights;
  #anchors: readonly Anchor[] = [];

  constructor(rowHeight: number) {
    this.#heights = new Heights(rowHeight);
  }

  readonly total = $derived.by(() => (void this.#version, this.#heights.total));

  readonly range = $derived.by(() => {
    void this.#version;
    const count = this.rows.length;
    if (count === 0) return { from: 0, to: 0, top: 0 };
    const from = this.#heights.at(this.top - OVERSCAN_PX);
    const to = Math.min(count, this.#heights.at(this.top + this.height + OVERSCAN_PX) + 1);
    return { from, to, top: this.#heights.top(from) };
  });

  readonly drawn = $derived(this.rows.slice(this.range.from, this.range.to));

  /** Takes rows, oldest first. */
  setRows(oldestFirst: readonly Row[], newestFirst: boolean): void {
    if (newestFirst !== this.newestFirst) {
      this.newestFirst = newestFirst;
      this.#anchors = [];
      this.stick = true;
    }
    this.rows = newestFirst ? oldestFirst.toReversed() : oldestFirst;
    this.#heights.setKeys(this.rows.map((r) => r.key));
    this.#settle();
  }

  /** A new height for rows nothing was measured of; all measures go. */
  setRowHeight(height: number): void {
    this.#heights.setBase(height);
    this.#settle();
  }

  setHeight(height: number): void {
    this.height = height;
    this.#settle();
  }

  measure(found: Iterable<readonly [key: string, height: number]>): void {
    if (this.#heights.measure(found)) this.#settle();
  }

  /** Where the element is to scroll to, told once. */
  takeTarget(): number | null {
    const target = this.#target;
    this.#target = null;
    return target;
  }

  /** The reader scrolled. */
  scrolled(top: number): void {
    // The element has yet to follow: where it stands says nothing of what the reader wants.
    if (this.#target !== null) return;
    this.top = top;
    this.stick = this.#distance(top) <= NEAR_PX;
    this.#remember();
  }

  toNewest(): void {
    this.stick = true;
    this.#settle();
  }

  /** Goes to the place where nothing was read yet: a new answer. */
  renew(): void {
    this.#anchors = [];
    this.stick = true;
    this.#settle();
  }

  /** Brings a row into view; in the middle where it was out of it. */
  reveal(key: string, place: 'near' | 'middle' = 'near'): void {
    const index = this.rows.findIndex((r) => r.key === key);
    if (index < 0) return;
    const top = this.#heights.top(index);
    const height = this.#heights.height(index);
    if (place === 'near' && top >= this.top && top + height <= this.top + this.height) return;
    const above = place === 'middle' || height > this.height ? Math.max(0, this.height * 0.35) : 0;
    const near = top < this.top ? top : top + height - this.height;
    this.#go(place === 'middle' ? top - above : near);
    this.stick = this.#distance(this.top) <= NEAR_PX;
    this.#remember();
  }

  indexAtTop(): number {
    return this.#heights.at(this.top);
  }

  /** Pixels to the newest end. */
  #distance(top: number): number {
    return this.newestFirst ? top : this.#heights.total - this.height - top;
  }

  /** After any change: the reader's row back to its place, or on to the newest. */
  #settle(): void {
    this.#version++;
    if (this.stick) this.#go(this.newestFirst ? 0 : this.#heights.total - this.height);
    else {
      const anchor = this.#find();
      if (anchor) this.#go(this.#heights.top(anchor.index) - anchor.offset);
    }
    this.#remember();
  }

  #go(top: number): void {
    const most = Math.max(0, this.#heights.total - this.height);
    this.top = Math.max(0, Math.min(most, top));
    this.#target = this.top;
  }

  /** Notes the rows in view: should the first of them go, the next one holds the text still. */
  #remember(): void {
    const anchors: Anchor[] = [];
    const first = this.#heights.at(this.top);
    for (let i = first; i < Math.min(this.rows.length, first + 20); i++) {
      const key = this.rows[i]?.key;
      if (key !== undefined) anchors.push({ key, offset: this.#heights.top(i) - this.top });
    }
    this.#anchors = anchors;
  }

  #find(): { index: number; offset: number } | null {
    for (const { key, offset } of this.#anchors) {
      const index = this.rows.findIndex((r) => r.key === key);
      if (index >= 0) return { index, offset };
    }
    return null;
  }
}
