import { describe, expect, it } from 'vitest';
import type { Row } from './fold';
import { Viewport } from './viewport.svelte';

const rows = (from: number, to: number): Row[] =>
  Array.from({ length: to - from }, (_, i) => ({
    kind: 'gap',
    key: `r${from + i}`,
    from: '',
    to: '',
    dropped: 1,
    reason: '',
    state: 'idle',
  }));

const open = (newestFirst = false): Viewport => {
  const view = new Viewport(20);
  view.setHeight(200);
  view.setRows(rows(0, 100), newestFirst);
  view.takeTarget();
  return view;
};
/** Pixels between the top of the view and a row's. */
const offsetOf = (view: Viewport, key: string): number => {
  const { from, top } = view.range;
  const index = view.rows.findIndex((r) => r.key === key);
  let y = top;
  for (let i = from; i < index; i++) y += 20;
  return y - view.top;
};

describe('the view on the list', () => {
  it('begins at the newest line and goes along with it', () => {
    const view = open();
    expect([view.top, view.stick]).toEqual([1800, true]);
    view.setRows(rows(0, 110), false);
    expect([view.top, view.takeTarget(), view.takeTarget()]).toEqual([2000, 2000, null]);
  });
  it('draws only what is near', () => {
    const view = open();
    view.setRows(rows(0, 100_000), false);
    expect(view.drawn.length).toBeLessThan(60);
    expect(view.drawn.at(-1)?.key).toBe('r99999');
    expect(view.total).toBe(2_000_000);
  });
  it('does not move the text when lines come below a reader who scrolled up', () => {
    const view = open();
    view.scrolled(907);
    expect(view.stick).toBe(false);
    view.setRows(rows(0, 150), false);
    expect(view.top).toBe(907);
  });
  it('does not take the element for the reader while it has yet to follow', () => {
    const view = open();
    view.setRows(rows(0, 150), false);
    view.scrolled(1800);
    expect([view.stick, view.takeTarget()]).toEqual([true, 2800]);
  });
  it('does not move the text when older lines come above', () => {
    const view = open();
    view.scrolled(47);
    const before = offsetOf(view, 'r5');
    view.setRows(rows(-50, 100), false);
    expect(view.top).toBe(1047);
    expect(offsetOf(view, 'r5')).toBe(before);
  });
  it('holds still when the row at the top goes', () => {
    const view = open();
    view.scrolled(40);
    view.setRows(rows(3, 100), false);
    expect(view.top).toBe(0);
    view.takeTarget();
    view.scrolled(400);
    const before = offsetOf(view, 'r30');
    view.setRows(rows(10, 100), false);
    expect(offsetOf(view, 'r30')).toBe(before);
  });
  it('does not move the text when a row above turns out taller', () => {
    const view = open();
    view.scrolled(1000);
    view.measure([['r3', 120]]);
    expect(view.top).toBe(1100);
  });
  it('stays at the newest line when a row grows, for one who is there', () => {
    const view = open();
    view.measure([['r99', 220]]);
    expect(view.top).toBe(2000);
  });
  it('has its newest end at the top where newest is first', () => {
    const view = open(true);
    expect([view.top, view.stick, view.rows[0]?.key]).toEqual([0, true, 'r99']);
    view.scrolled(100);
    view.setRows(rows(0, 110), true);
    expect([view.stick, view.top]).toEqual([false, 300]);
    view.toNewest();
    expect(view.top).toBe(0);
  });
  it('brings a row into view, and moves nothing where it is', () => {
    const view = open();
    view.reveal('r50');
    expect(view.top).toBe(1000);
    view.reveal('r52');
    expect(view.top).toBe(1000);
    view.reveal('r90', 'middle');
    expect(view.top).toBe(1730);
  });
});
