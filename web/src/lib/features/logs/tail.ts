/**
 * One live tail: a socket that comes back by itself and asks for what it missed. All of its life is one state; frames
 * go to one listener. It keeps no lines.
 */
import type { LogLine } from './line';

export type TailState =
  | { readonly name: 'idle' }
  | { readonly name: 'connecting' }
  | { readonly name: 'open' }
  | { readonly name: 'paused' }
  /** Lost; tries again at `retryAt` (ms since 1970). `words` say why. */
  | { readonly name: 'lost'; readonly retryAt: number; readonly words: string }
  /** Over for good until started again. */
  | { readonly name: 'ended'; readonly words: string; readonly signIn: boolean };

export interface Gap {
  readonly from: string;
  readonly to: string;
  readonly dropped: number;
  readonly reason: string;
}

export interface TailListener {
  state(state: TailState): void;
  lines(lines: readonly LogLine[]): void;
  gap(gap: Gap): void;
  /** The server says something went wrong, and goes on. */
  trouble(words: string): void;
}

/** The part of a WebSocket that is used. */
export interface Socket {
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  send(text: string): void;
  close(code?: number): void;
}

export interface TailOptions {
  /** Opens a socket for everything after `since`; asks for the one-use ticket itself. Rejects where it cannot. */
  readonly open: (since: string | null) => Promise<Socket>;
  readonly listener: TailListener;
  readonly now?: () => number;
  /** For tests: 0..1. */
  readonly random?: () => number;
}

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 15_000;
/** The server says something at least each 20 s. Twice that in silence is a dead connection. */
const SILENCE_MS = 45_000;
/** Close codes after which trying again cannot help. */
const FINAL: Readonly<Record<number, string>> = {
  4001: 'Your session has ended.',
  4003: 'You may not follow these logs.',
  4004: 'There is nothing of that name to follow.',
};

export class Tail {
  #state: TailState = { name: 'idle' };
  #socket: Socket | null = null;
  #since: string | null = null;
  #tries = 0;
  #life = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly options: TailOptions) {}

  get state(): TailState {
    return this.#state;
  }

  /** Begins, or begins again, after the line that `since` names. */
  start(since: string | null): void {
    this.#leave();
    this.#since = since;
    this.#tries = 0;
    void this.#connect();
  }

  stop(): void {
    this.#leave();
    this.#to({ name: 'idle' });
  }

  /** Tells the server to hold its lines; it answers with a gap where it could not keep them all. */
  pause(): void {
    if (this.#state.name !== 'open') return;
    this.#send({ type: 'pause' });
    this.#to({ name: 'paused' });
  }

  resume(): void {
    if (this.#state.name !== 'paused') return;
    this.#send({ type: 'resume' });
    this.#to({ name: 'open' });
  }

  /** Tries at once instead of waiting. */
  retryNow(): void {
    if (this.#state.name !== 'lost') return;
    clearTimeout(this.#retry);
    void this.#connect();
  }

  async #connect(): Promise<void> {
    const life = ++this.#life;
    this.#to({ name: 'connecting' });
    let socket: Socket;
    try {
      socket = await this.options.open(this.#since);
    } catch (error) {
      if (life === this.#life) this.#lose(error instanceof Error ? error.message : 'The server does not answer.');
      return;
    }
    if (life !== this.#life) {
      socket.close();
      return;
    }
    this.#socket = socket;
    this.#listen(life);
    socket.onopen = () => {
      if (life !== this.#life) return;
      this.#to({ name: 'open' });
      this.#listen(life);
    };
    socket.onmessage = ({ data }) => {
      if (life !== this.#life) return;
      this.#listen(life);
      if (typeof data === 'string') this.#frame(data);
    };
    socket.onclose = ({ code, reason }) => {
      if (life !== this.#life) return;
      this.#socket = null;
      const final = FINAL[code];
      if (final === undefined) this.#lose(wordsOf(reason) ?? 'The connection was lost.');
      else {
        this.#leave();
        this.#to({ name: 'ended', words: wordsOf(reason) ?? final, signIn: code === 4001 });
      }
    };
  }

  #frame(text: string): void {
    const frame = readFrame(text);
    if (!frame) return;
    this.#tries = 0;
    const { listener } = this.options;
    if (frame.type === 'lines') {
      const last = frame.lines.at(-1);
      if (last === undefined) return;
      this.#since = last.cursor;
      listener.lines(frame.lines);
      this.#send({ type: 'ack', cursor: last.cursor });
    } else if (frame.type === 'gap') listener.gap(frame);
    else if (frame.type === 'error') listener.trouble(frame.words);
  }

  #lose(words: string): void {
    const since = this.#since;
    this.#leave();
    this.#since = since;
    const longest = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#tries++);
    const wait = longest * (0.5 + (this.options.random ?? Math.random)() / 2);
    this.#retry = setTimeout(() => void this.#connect(), wait);
    this.#to({ name: 'lost', retryAt: (this.options.now ?? Date.now)() + wait, words });
  }

  /** Renews the watch for silence. */
  #listen(life: number): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      if (life === this.#life) this.#lose('The connection went silent.');
    }, SILENCE_MS);
  }

  #leave(): void {
    this.#life++;
    clearTimeout(this.#retry);
    clearTimeout(this.#silence);
    this.#socket?.close(1000);
    this.#socket = null;
  }

  #send(frame: { type: string; cursor?: string }): void {
    this.#socket?.send(JSON.stringify(frame));
  }

  #to(state: TailState): void {
    this.#state = state;
    this.options.listener.state(state);
  }
}

type Frame =
  | { type: 'lines'; lines: readonly LogLine[] }
  | ({ type: 'gap' } & Gap)
  | { type: 'heartbeat' }
  | { type: 'error'; words: string };

/** A frame of the server; null for what this page does not know, so that a newer server may say more. */
export function readFrame(text: string): Frame | null {
  let frame: Record<string, unknown>;
  try {
    frame = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return null;
  }
  switch (frame['type']) {
    case 'lines':
      return { type: 'lines', lines: (frame['lines'] ?? []) as LogLine[] };
    case 'gap':
      return {
        type: 'gap',
        from: String(frame['from'] ?? ''),
        to: String(frame['to'] ?? ''),
        dropped: Number(frame['dropped'] ?? 0),
        reason: String(frame['reason'] ?? ''),
      };
    case 'heartbeat':
      return { type: 'heartbeat' };
    case 'error': {
      const error = (frame['error'] ?? {}) as { message?: unknown };
      return { type: 'error', words: typeof error.message === 'string' ? error.message : 'The tail had a problem.' };
    }
    default:
      return null;
  }
}

/** The message of an error envelope that came as the reason of a close. */
function wordsOf(reason: string): string | null {
  if (reason === '') return null;
  try {
    const envelope = JSON.parse(reason) as { error?: { message?: string } };
    return envelope.error?.message ?? null;
  } catch {
    return reason;
  }
}
