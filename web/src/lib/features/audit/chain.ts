/** The chain's state as a sentence: "12,431 entries, verified to #12,431 a minute ago". */
import type { Schemas } from '$lib/api/client';
import { ago } from '$lib/features/logs/clock';

export function chainWords(chain: Schemas['StatusAnswer'], nowMs: number): string {
  if (!chain.ok) return `The chain does not fit from entry ${number(chain.first_bad ?? chain.entries + 1)} on`;
  const passed = nowMs - Date.parse(chain.verified_at);
  const count = chain.entries === 1 ? '1 entry' : `${chain.entries.toLocaleString('en')} entries`;
  return `${count}, verified to ${number(chain.entries)} ${passed < 10_000 ? 'just now' : `${ago(passed)} ago`}`;
}

export function number(id: number): string {
  return `#${id.toLocaleString('en')}`;
}
