import { describe, expect, it } from 'vitest';
import type { Socket } from './tail';
import { LogsWire } from './wire';

const never = new AbortController().signal;
const span = { from: 1_700_000_000_000_000_001n, to: 1_700_000_001_000_000_000n };
const line = (cursor: string) => ({
  timestamp: '',
  level: 'INFO',
  service: 'api',
  message: cursor,
  metadata: {},
  cursor,
});

function server(answer: unknown) {
  const asked: [string, Record<string, string>][] = [];
  const wire = new LogsWire({
    get: (path, params) => {
      asked.push([path, params]);
      return Promise.resolve(new Response(JSON.stringify(answer)));
    },
    socket: (path, params) => {
      asked.push([path, params]);
      return Promise.resolve({} as Socket);
    },
  });
  return { asked, wire };
}

describe('the wire', () => {
  const page = {
    resultType: 'streams',
    logs: [line('b'), line('a')],
    total: 7,
    total_exact: false,
    has_more: true,
    next_cursor: 'a',
    searched: { from: '2023-11-14T22:13:20Z', to: '2023-11-14T22:13:21Z' },
    took_ms: 1.5,
  };
  it('gives pages oldest first, to the nanosecond', async () => {
    const { asked, wire } = server(page);
    const answer = await wire.ask({ query: '{a="b"}', span, direction: 'backward', limit: 2, cursor: 'c' }, never);
    expect(asked[0]).toEqual([
      '/api/v1/logs/query',
      {
        query: '{a="b"}',
        start: '1700000000000000001',
        end: '1700000001000000000',
        direction: 'backward',
        limit: '2',
        cursor: 'c',
      },
    ]);
    expect(answer).toMatchObject({
      kind: 'lines',
      page: {
        total: 7,
        totalExact: false,
        hasMore: true,
        nextCursor: 'a',
        searched: { from: 1_700_000_000_000_000_000n },
      },
    });
    expect(answer.kind === 'lines' && answer.page.lines.map((l) => l.cursor)).toEqual(['a', 'b']);
  });
  it('gives series in milliseconds and numbers', async () => {
    const { wire } = server({
      resultType: 'matrix',
      took_ms: 4,
      result: [
        {
          metric: { a: 'b' },
          values: [
            [1.5, '2'],
            [2.5, 'NaN'],
          ],
        },
      ],
    });
    expect(await wire.ask({ query: 'rate(x)', span, direction: 'forward', limit: 1 }, never)).toEqual({
      kind: 'series',
      tookMs: 4,
      series: [
        {
          labels: { a: 'b' },
          points: [
            [1500, 2],
            [2500, NaN],
          ],
        },
      ],
    });
  });
  it('asks for the lines around of one writer alone', async () => {
    const { asked, wire } = server({ before: [line('a')], line: line('b'), after: [line('c')] });
    const found = await wire.around({ ...line('b'), metadata: { container: 'api-1' } }, 5, never);
    expect(found.map((l) => l.cursor)).toEqual(['a', 'b', 'c']);
    expect(asked[0]?.[1]).toEqual({
      query: '{service_name="api", container="api-1"}',
      cursor: 'b',
      before: '5',
      after: '5',
    });
  });
  it('follows from a cursor, or from now without a backlog', async () => {
    const { asked, wire } = server(null);
    await wire.openTail('{a="b"}', 'c');
    await wire.openTail('{a="b"}', null);
    expect(asked).toEqual([
      ['/ws/logs', { query: '{a="b"}', since: 'c' }],
      ['/ws/logs', { query: '{a="b"}', limit: '0' }],
    ]);
  });
});
