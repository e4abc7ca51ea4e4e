import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Answer, Ask, LogsApi, Page, PageAsk } from './api';
import { Feed, LONGEST } from './feed.svelte';
import type { GapRow, LineRow } from './fold';
import type { LogLine } from './line';
import type { Socket } from './tail';

const at = (n: number): LogLine => ({
  timestamp: new Date(1_700_000_000_000 + n).toISOString(),
  level: 'INFO',
  service: 'api',
  message: `line ${n}`,
  metadata: {},
  cursor: (1_700_000_000_000_000_000n + BigInt(n) * 1_000_000n).toString(16).padStart(16, '0') + '0'.repeat(16),
});
const run = (from: number, to: number): LogLine[] => Array.from({ length: to - from }, (_, i) => at(from + i));
const span = { from: 1_700_000_000_000_000_000n, to: 1_700_000_100_000_000_000n };
const ask: Ask = { query: '{a="b"}', span };

const answer = (lines: LogLine[], hasMore: boolean, backward: boolean): Answer => {
  const page: Page = {
    lines,
    total: 5000,
    totalExact: true,
    hasMore,
    nextCursor: (backward ? lines[0] : lines.at(-1))?.cursor ?? null,
    searched: span,
    tookMs: 3,
    notices: [],
  };
  return { kind: 'lines', page };
};

class Server implements Partial<LogsApi> {
  asked: PageAsk[] = [];
  since: (string | null)[] = [];
  next: (asked: PageAsk) => Promise<Answer> = () => Promise.resolve(answer([], false, true));
  socket: Socket = { onopen: null, onmessage: null, onclose: null, send: () => undefined, close: () => undefined };
  sent: string[] = [];
  ask(asked: PageAsk): Promise<Answer> {
    this.asked.push(asked);
    return this.next(asked);
  }
  openTail(_query: string, since: string | null): Promise<Socket> {
    this.since.push(since);
    this.socket = {
      ...this.socket,
      send: (t) => void this.sent.push((JSON.parse(t) as { type: string }).type),
      close: () => undefined,
    };
    return Promise.resolve(this.socket);
  }
  say(frame: unknown): void {
    this.socket.onmessage?.({ data: JSON.stringify(frame) });
  }
}

const texts = (feed: Feed): string[] => feed.rows.map((r) => (r.kind === 'line' ? r.line.message : `gap ${r.dropped}`));
const start = (): { server: Server; feed: Feed } => {
  const server = new Server();
  const feed = new Feed(server as unknown as LogsApi, (e) => ({ words: (e as Error).message }));
  return { server, feed };
};

describe('the feed', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('grows at both ends without doubling a line', async () => {
    const { server, feed } = start();
    server.next = ({ direction }) =>
      Promise.resolve(answer(direction === 'backward' ? run(10, 20) : run(20, 30), true, direction === 'backward'));
    await feed.loadAt(ask, span.from);
    expect(feed.lineCount).toBe(20);
    server.next = () => Promise.resolve(answer(run(5, 11), false, true));
    await feed.loadOlder();
    expect(server.asked.at(-1)).toMatchObject({ direction: 'backward', cursor: at(10).cursor });
    server.next = () => Promise.resolve(answer(run(29, 33), false, false));
    await feed.loadNewer();
    expect(texts(feed)).toEqual(run(5, 33).map((l) => l.message));
    expect([feed.older.more, feed.newer.more, feed.lineCount]).toEqual([false, false, 28]);
  });

  it('keeps what it shows when asking anew fails, and says why', async () => {
    const { server, feed } = start();
    server.next = () => Promise.resolve(answer(run(0, 3), false, true));
    await feed.load(ask);
    server.next = () => Promise.reject(new Error('the store is away'));
    await feed.load(ask);
    expect(feed.failure).toEqual({ words: 'the store is away' });
    expect(feed.rows).toHaveLength(3);
    expect(feed.loading).toBe(false);
  });

  it('shows the newest question, not the newest answer', async () => {
    const { server, feed } = start();
    const answers: ((a: Answer) => void)[] = [];
    server.next = () => new Promise((resolve) => answers.push(resolve));
    const first = feed.load(ask);
    const second = feed.load({ ...ask, query: '{c="d"}' });
    answers[1]?.(answer(run(0, 1), false, true));
    answers[0]?.(answer(run(0, 9), false, true));
    await Promise.all([first, second]);
    expect(feed.rows).toHaveLength(1);
  });

  it('follows from the newest line, in batches, and counts what came unseen', async () => {
    const { server, feed } = start();
    server.next = () => Promise.resolve(answer(run(0, 3), false, true));
    await feed.load(ask);
    feed.follow();
    await vi.advanceTimersByTimeAsync(0);
    expect(server.since).toEqual([at(2).cursor]);
    server.socket.onopen?.();
    server.say({ type: 'lines', lines: run(2, 5) });
    server.say({ type: 'lines', lines: run(5, 6) });
    expect(feed.rows).toHaveLength(3);
    await vi.advanceTimersByTimeAsync(100);
    expect(feed.rows).toHaveLength(6);
    feed.setAtNewest(false);
    server.say({ type: 'lines', lines: run(6, 10) });
    await vi.advanceTimersByTimeAsync(100);
    expect(feed.unseen).toBe(4);
    feed.setAtNewest(true);
    expect(feed.unseen).toBe(0);
    feed.unfollow();
    expect(feed.following).toBe(false);
  });

  it('puts a gap where it belongs and fills it in place', async () => {
    const { server, feed } = start();
    server.next = () => Promise.resolve(answer(run(0, 2), false, true));
    await feed.load(ask);
    feed.follow();
    await vi.advanceTimersByTimeAsync(0);
    server.say({ type: 'gap', from: at(2).timestamp, to: at(8).timestamp, dropped: 6, reason: 'slow' });
    server.say({ type: 'lines', lines: run(8, 9) });
    await vi.advanceTimersByTimeAsync(100);
    expect(texts(feed)).toEqual(['line 0', 'line 1', 'gap 6', 'line 8']);
    server.next = () => Promise.resolve(answer(run(2, 6), true, false));
    await feed.fillGap(feed.rows[2] as GapRow);
    expect(texts(feed)).toEqual(['line 0', 'line 1', 'line 2', 'line 3', 'line 4', 'line 5', 'gap 2', 'line 8']);
    server.next = () => Promise.reject(new Error('x'));
    await feed.fillGap(feed.rows[6] as GapRow);
    expect((feed.rows[6] as GapRow).state).toBe('failed');
    server.next = () => Promise.resolve(answer(run(6, 9), false, false));
    await feed.fillGap(feed.rows[6] as GapRow);
    expect(texts(feed)).toEqual(run(0, 9).map((l) => l.message));
  });

  it('holds no more than its bound, and can load again what it dropped', async () => {
    const { server, feed } = start();
    server.next = () => Promise.resolve(answer(run(0, 1), false, true));
    await feed.load(ask);
    feed.follow();
    await vi.advanceTimersByTimeAsync(0);
    server.socket.onopen?.();
    server.say({ type: 'lines', lines: run(1, LONGEST + 500) });
    await vi.advanceTimersByTimeAsync(100);
    expect(feed.lineCount).toBe(LONGEST);
    expect((feed.rows[0] as LineRow).line.message).toBe('line 500');
    expect(feed.older).toEqual({ more: true, cursor: at(500).cursor });
  });

  it('never drops what the reader looks at: beyond the bound it asks the server to wait', async () => {
    const { server, feed } = start();
    server.next = () => Promise.resolve(answer(run(0, 1), false, true));
    await feed.load(ask);
    feed.follow();
    await vi.advanceTimersByTimeAsync(0);
    server.socket.onopen?.();
    feed.setAtNewest(false);
    server.say({ type: 'lines', lines: run(1, LONGEST + 50) });
    await vi.advanceTimersByTimeAsync(100);
    expect((feed.rows[0] as LineRow).line.message).toBe('line 0');
    expect(server.sent).toContain('pause');
    feed.setAtNewest(true);
    expect(server.sent.at(-1)).toBe('resume');
    expect(feed.lineCount).toBe(LONGEST);
  });
});
