import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { LogLine } from './line';
import { readFrame, Tail, type Gap, type Socket, type TailState } from './tail';

class FakeSocket implements Socket {
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  sent: unknown[] = [];
  closed = false;
  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }
  close(): void {
    this.closed = true;
  }
  say(frame: unknown): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
}

const line = (cursor: string): LogLine => ({
  timestamp: '2026-01-01T00:00:00Z',
  level: 'INFO',
  service: 'api',
  message: 'm',
  metadata: {},
  cursor,
});

function watch() {
  const sockets: FakeSocket[] = [];
  const asked: (string | null)[] = [];
  const states: TailState[] = [];
  const lines: LogLine[] = [];
  const gaps: Gap[] = [];
  let refuse = false;
  const tail = new Tail({
    open: (since) => {
      asked.push(since);
      if (refuse) return Promise.reject(new Error('no ticket'));
      const socket = new FakeSocket();
      sockets.push(socket);
      return Promise.resolve(socket);
    },
    listener: {
      state: (s) => states.push(s),
      lines: (l) => lines.push(...l),
      gap: (g) => gaps.push(g),
      trouble: () => undefined,
    },
    random: () => 1,
  });
  return {
    tail,
    sockets,
    asked,
    states,
    lines,
    gaps,
    refuse: (yes: boolean) => {
      refuse = yes;
    },
    last: () => sockets[sockets.length - 1] as FakeSocket,
    names: () => states.map((s) => s.name),
  };
}

const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);

describe('a live tail', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('gives lines and acknowledges them by cursor', async () => {
    const w = watch();
    w.tail.start('c0');
    await settle();
    w.last().onopen?.();
    w.last().say({ type: 'lines', lines: [line('c1'), line('c2')] });
    expect(w.lines.map((l) => l.cursor)).toEqual(['c1', 'c2']);
    expect(w.last().sent).toEqual([{ type: 'ack', cursor: 'c2' }]);
    expect(w.names()).toEqual(['connecting', 'open']);
  });

  it('says at once that it was lost, and comes back after the newest line it had', async () => {
    const w = watch();
    w.tail.start('c0');
    await settle();
    w.last().onopen?.();
    w.last().say({ type: 'lines', lines: [line('c7')] });
    w.last().onclose?.({ code: 1006, reason: '' });
    expect(w.names().at(-1)).toBe('lost');
    await vi.advanceTimersByTimeAsync(500);
    expect(w.asked).toEqual(['c0', 'c7']);
  });

  it('waits longer each time, up to fifteen seconds, and is quick again after a frame', async () => {
    const w = watch();
    w.refuse(true);
    w.tail.start(null);
    await settle();
    const waits: number[] = [];
    for (let i = 0; i < 7; i++) {
      const lost = w.tail.state;
      waits.push(lost.name === 'lost' ? lost.retryAt - Date.now() : NaN);
      if (i === 6) w.refuse(false);
      await vi.advanceTimersByTimeAsync(waits[i] ?? 0);
    }
    expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 15000, 15000]);
    w.last().onopen?.();
    w.last().say({ type: 'heartbeat' });
    w.last().onclose?.({ code: 1006, reason: '' });
    const lost = w.tail.state;
    expect(lost.name === 'lost' && lost.retryAt - Date.now()).toBe(500);
  });

  it('takes silence for a lost connection', async () => {
    const w = watch();
    w.tail.start(null);
    await settle();
    w.last().onopen?.();
    await vi.advanceTimersByTimeAsync(20_000);
    w.last().say({ type: 'heartbeat' });
    await vi.advanceTimersByTimeAsync(44_000);
    expect(w.tail.state.name).toBe('open');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(w.tail.state.name).toBe('lost');
    expect(w.sockets[0]?.closed).toBe(true);
  });

  it.each([
    [4001, true],
    [4003, false],
    [4004, false],
  ])('does not try again after %i', async (code, signIn) => {
    const w = watch();
    w.tail.start(null);
    await settle();
    w.last().onclose?.({ code, reason: '{"error":{"message":"because"}}' });
    expect(w.tail.state).toEqual({ name: 'ended', words: 'because', signIn });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(w.sockets).toHaveLength(1);
  });

  it('passes gaps on, and pauses and resumes', async () => {
    const w = watch();
    w.tail.start(null);
    await settle();
    w.last().onopen?.();
    w.last().say({ type: 'gap', from: 'a', to: 'b', dropped: 3, reason: 'slow' });
    expect(w.gaps).toMatchObject([{ from: 'a', to: 'b', dropped: 3, reason: 'slow' }]);
    w.tail.pause();
    w.tail.resume();
    expect(w.last().sent).toEqual([{ type: 'pause' }, { type: 'resume' }]);
  });

  it('hears nothing from a socket it has left', async () => {
    const w = watch();
    w.tail.start(null);
    await settle();
    const old = w.last();
    w.tail.start(null);
    await settle();
    old.say({ type: 'lines', lines: [line('x')] });
    old.onclose?.({ code: 1006, reason: '' });
    expect(w.lines).toEqual([]);
    expect(w.tail.state.name).toBe('connecting');
    w.tail.stop();
    expect(w.last().closed).toBe(true);
  });

  it('reads no frame from what is none', () => {
    expect(readFrame('{')).toBeNull();
    expect(readFrame('{"type":"new"}')).toBeNull();
    expect(readFrame('{"type":"error","error":{"message":"m"}}')).toEqual({ type: 'error', words: 'm' });
  });
});
