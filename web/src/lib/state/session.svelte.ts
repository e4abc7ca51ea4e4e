/**
 * Who is signed in here. The access token lives in memory only; the refresh token in a cookie that no script reads.
 * One tab refreshes at a time, for the refresh token is good for one use.
 */
import { errorOf, type ApiError } from '$lib/api/errors';

export interface User {
  readonly id: string;
  readonly username: string;
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
}

interface Tokens {
  access_token: string;
  expires_in: number;
  user: User;
}

type SessionState = 'unknown' | 'out' | 'in';

/** Seconds before its end at which a token is renewed. */
const EARLY = 30;
const LOCK = 'pilothouse.refresh';
const OWN = { 'X-Pilothouse': '1' };

export class Session {
  state = $state<SessionState>('unknown');
  user = $state.raw<User | null>(null);
  /** Why the last session ended, where the reader did not end it. */
  ended = $state('');
  #token = '';
  #expires = 0;
  #renewing: Promise<boolean> | null = null;
  readonly #channel = typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel('pilothouse.session');

  constructor() {
    this.#channel?.addEventListener('message', (event: MessageEvent<string>) => {
      if (event.data === 'out') this.#leave('');
      if (event.data === 'in' && this.state === 'out') void this.renew();
    });
  }

  /** Whether the user holds a permission, for whatever objects. The server decides; this only hides what it would refuse. */
  may(permission: string): boolean {
    const noun = permission.split(':')[0];
    return (this.user?.permissions ?? []).some((grant) => {
      const name = grant.split('{')[0];
      return name === '*' || name === `${noun}:*` || name === permission;
    });
  }

  /** Rejects with the server's error. */
  async login(username: string, password: string): Promise<void> {
    const response = await fetch('/api/v1/auth/login', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...OWN },
      body: JSON.stringify({ username, password }),
    });
    if (!response.ok) throw await errorOf(response);
    this.#take((await response.json()) as Tokens);
    this.#channel?.postMessage('in');
  }

  async logout(): Promise<void> {
    const headers = { ...OWN, Authorization: `Bearer ${this.#token}` };
    await fetch('/api/v1/auth/logout', { method: 'POST', headers }).catch(() => undefined);
    this.#leave('');
    this.#channel?.postMessage('out');
  }

  /** A fresh access token from the cookie; whether there is a session. All who ask at once share one answer. */
  renew(): Promise<boolean> {
    this.#renewing ??= this.#renew().finally(() => (this.#renewing = null));
    return this.#renewing;
  }

  async #renew(): Promise<boolean> {
    const ask = (): Promise<Response> => fetch('/api/v1/auth/refresh', { method: 'POST', headers: OWN });
    const response = await (navigator.locks ? navigator.locks.request(LOCK, ask) : ask());
    if (response.ok) {
      this.#take((await response.json()) as Tokens);
      return true;
    }
    if (response.status === 401 || response.status === 403) {
      const error: ApiError = await errorOf(response);
      const was = this.state === 'in';
      this.#leave(was ? error.message : '');
      return false;
    }
    throw await errorOf(response);
  }

  /** fetch with the session's token, renewed where it is about to end, or was refused. */
  async fetch(input: string | Request, init: RequestInit = {}): Promise<Response> {
    if (Date.now() > this.#expires - EARLY * 1000) await this.renew();
    const first = await this.#send(input, init);
    if (first.status !== 401) return first;
    // A wrong present password is refused so too: a new token would only make it a second attempt.
    const { code } = await errorOf(first.clone());
    if (code === 'WRONG_PASSWORD' || !(await this.renew())) return first;
    return this.#send(input, init);
  }

  #send(input: string | Request, init: RequestInit): Promise<Response> {
    const request = new Request(input instanceof Request ? input.clone() : input, init);
    request.headers.set('Authorization', `Bearer ${this.#token}`);
    return fetch(request);
  }

  #take(tokens: Tokens): void {
    this.#token = tokens.access_token;
    this.#expires = Date.now() + tokens.expires_in * 1000;
    this.user = tokens.user;
    this.ended = '';
    this.state = 'in';
  }

  #leave(why: string): void {
    this.#token = '';
    this.#expires = 0;
    this.user = null;
    this.ended = why;
    this.state = 'out';
  }
}

export const session = new Session();
