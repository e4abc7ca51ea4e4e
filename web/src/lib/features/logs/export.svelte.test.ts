import { describe, expect, it } from 'vitest';
import type { Ask } from './api';
import { bytesWords, Export, fileName } from './export.svelte';

const ask: Ask = {
  query: '{a="b"}',
  span: {
    from: BigInt(Date.UTC(2026, 10, 24, 14, 45)) * 1_000_000n,
    to: BigInt(Date.UTC(2026, 10, 24, 15)) * 1_000_000n,
  },
};

const textOf = (file: Blob): Promise<string> =>
  new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result as string);
    reader.readAsText(file);
  });

describe('export', () => {
  it('gives the whole stream as one file, named by what and when', async () => {
    const given: [string, string][] = [];
    const texts: Promise<void>[] = [];
    const exporting = new Export({
      open: (_, format) => Promise.resolve(new Response(`line 1\nline 2 ${format}\n`)),
      give: (file, name) => texts.push(textOf(file).then((text) => void given.push([name, text]))),
      failureOf: (e) => ({ words: String(e) }),
    });
    expect(await exporting.start(ask, 'ndjson', 'api & co')).toBe(true);
    await Promise.all(texts);
    expect(given).toEqual([['api-co-20261124T144500-20261124T150000.ndjson', 'line 1\nline 2 ndjson\n']]);
    expect(exporting.bytes).toBeNull();
  });
  it('says why it failed, and gives no half a file', async () => {
    let given = 0;
    const exporting = new Export({
      open: () =>
        Promise.resolve(
          new Response(
            new ReadableStream({
              start(c) {
                c.enqueue(new TextEncoder().encode('half'));
                c.error(new Error('upstream gone'));
              },
            }),
          ),
        ),
      give: () => given++,
      failureOf: (e) => ({ words: (e as Error).message }),
    });
    expect(await exporting.start(ask, 'text', 'x')).toBe(false);
    expect([given, exporting.failure?.words, exporting.bytes]).toEqual([0, 'upstream gone', null]);
  });
  it('can be stopped without a complaint', async () => {
    const exporting = new Export({
      open: (_a, _f, signal) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted')))),
      give: () => undefined,
      failureOf: (e) => ({ words: (e as Error).message }),
    });
    const done = exporting.start(ask, 'csv', 'x');
    exporting.cancel();
    expect(await done).toBe(false);
    expect([exporting.failure, exporting.bytes]).toEqual([null, null]);
  });
  it('says sizes', () => {
    expect([12, 2048, 3_500_000].map(bytesWords)).toEqual(['12 B', '2 kB', '3.3 MB']);
    expect(fileName('a/b', ask, 'text')).toMatch(/^a-b-.*\.log$/);
  });
});
