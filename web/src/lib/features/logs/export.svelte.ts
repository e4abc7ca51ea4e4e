/** The whole result as a file: fetched with the session's own token, so no token ever stands in an address. */
import type { Ask } from './api';
import type { Failure, FailureOf } from './feed.svelte';
import { rfc3339 } from './line';

export const FORMATS = [
  { id: 'text', name: 'Text', ending: 'log', says: 'the lines as they were written' },
  { id: 'ndjson', name: 'NDJSON', ending: 'ndjson', says: 'one JSON object a line, with all labels' },
  { id: 'csv', name: 'CSV', ending: 'csv', says: 'for a spreadsheet' },
] as const;
export type Format = (typeof FORMATS)[number]['id'];

export interface ExportOptions {
  /** Opens the answer. Rejects with what the server says. */
  readonly open: (ask: Ask, format: Format, signal: AbortSignal) => Promise<Response>;
  /** Hands a finished file to the browser. */
  readonly give: (file: Blob, name: string) => void;
  readonly failureOf: FailureOf;
}

export class Export {
  /** Bytes that have come; null while nothing is under way. */
  bytes = $state<number | null>(null);
  failure = $state.raw<Failure | null>(null);
  #abort: AbortController | null = null;

  constructor(private readonly options: ExportOptions) {}

  async start(ask: Ask, format: Format, name: string): Promise<boolean> {
    this.cancel();
    const abort = (this.#abort = new AbortController());
    this.bytes = 0;
    this.failure = null;
    try {
      const answer = await this.options.open(ask, format, abort.signal);
      const parts: BlobPart[] = [];
      const reader = answer.body?.getReader();
      for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
        parts.push(part.value as BlobPart);
        this.bytes += (part.value as Uint8Array).byteLength;
      }
      // A browser keeps a large Blob on disk, not in memory.
      this.options.give(
        new Blob(parts, { type: answer.headers.get('Content-Type') ?? 'text/plain' }),
        fileName(name, ask, format),
      );
      return true;
    } catch (error) {
      if (!abort.signal.aborted) this.failure = this.options.failureOf(error);
      return false;
    } finally {
      if (this.#abort === abort) this.bytes = null;
    }
  }

  cancel(): void {
    this.#abort?.abort();
    this.#abort = null;
    this.bytes = null;
  }
}

/** `api-20261124T144500-20261124T150000.log`: what, from when, to when, in UTC. */
export function fileName(name: string, { span }: Ask, format: Format): string {
  const stamp = (ns: bigint): string => rfc3339(ns).slice(0, 19).replace(/[-:]/g, '');
  const ending = FORMATS.find((f) => f.id === format)?.ending ?? 'txt';
  return `${name.replace(/[^\w.-]+/g, '-').slice(0, 60)}-${stamp(span.from)}-${stamp(span.to)}.${ending}`;
}

export function giveToBrowser(file: Blob, name: string): void {
  const url = URL.createObjectURL(file);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The download has begun by then; the address must not keep the file in memory.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

export function bytesWords(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1 << 20) return `${(bytes / 1024).toFixed(0)} kB`;
  return `${(bytes / (1 << 20)).toFixed(1)} MB`;
}
