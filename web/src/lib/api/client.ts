/** The typed client of the REST API, made from the server's own description, and the raw ways beside it. */
import createClient from 'openapi-fetch';
import { session } from '$lib/state/session.svelte';
import { ApiError, errorOf } from './errors';
import type { components, paths } from './schema';

export type Schemas = components['schemas'];

export const client = createClient<paths>({
  baseUrl: typeof location === 'undefined' ? '' : location.origin,
  fetch: (request) => session.fetch(request),
});

interface Answered<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The data of an answer. Rejects with ApiError. */
export async function good<T>(answer: Promise<Answered<T>>): Promise<T> {
  const { data, error, response } = await answer;
  if (response.ok) return data as T;
  const told = (error as { error?: { code: string; message: string; details?: Record<string, unknown> } } | undefined)
    ?.error;
  const wait = Number(response.headers.get('retry-after') ?? 0);
  throw new ApiError(
    response.status,
    told?.code ?? 'UNKNOWN',
    told?.message ?? `The server answered ${response.status}`,
    {
      ...(wait > 0 ? { retry_after: wait } : {}),
      ...told?.details,
    },
  );
}

/** GET of what is not JSON, or is read as it comes. Rejects with ApiError. */
export async function get(path: string, params: Record<string, string>, signal?: AbortSignal): Promise<Response> {
  const query = new URLSearchParams(params).toString();
  const response = await session.fetch(query ? `${path}?${query}` : path, signal ? { signal } : {});
  if (!response.ok) throw await errorOf(response);
  return response;
}

/** A WebSocket at `path`, opened with a ticket of its own: browsers can't send a header with one. */
export async function socket(path: string, params: Record<string, string>): Promise<WebSocket> {
  const { ticket } = await good(client.POST('/api/v1/auth/ws-ticket', { body: { path } }));
  const url = new URL(path, location.origin);
  url.protocol = url.protocol.replace('http', 'ws');
  url.search = new URLSearchParams({ ...params, ticket }).toString();
  return new WebSocket(url);
}
