/** The first administrator: the one-time link's token, and whether there is a need of one. */
import { client, good } from '$lib/api/client';

/** Whether nobody can sign in yet; false where that can't be told. */
export async function setupNeeded(): Promise<boolean> {
  try {
    return (await good(client.GET('/api/v1/setup'))).needed;
  } catch {
    return false;
  }
}

/** The token in a link's fragment, which no server and no Referer ever sees. */
export function tokenIn(fragment: string): string {
  return new URLSearchParams(fragment.replace(/^#/, '')).get('token') ?? '';
}
