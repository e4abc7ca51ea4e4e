/** What of the trail is asked for, as it stands in the address and as the API takes it. */
import type { operations } from '$lib/api/schema';

export type Query = NonNullable<operations['audit_list_entries']['parameters']['query']>;
export type Outcome = NonNullable<Query['outcome']>;

export const OUTCOMES: readonly Outcome[] = ['started', 'ok', 'denied', 'failed'];

export interface Filters {
  /** A user's name or id, exactly. */
  readonly who: string;
  /** `noun.verb` or `noun.*`. */
  readonly action: string;
  /** Part of the object. */
  readonly object: string;
  readonly outcome: Outcome | '';
  /** Part of the actor, action, object, address or details. */
  readonly text: string;
}

const NAMES: Readonly<Record<keyof Filters, string>> = {
  who: 'who',
  action: 'action',
  object: 'object',
  outcome: 'outcome',
  text: 'q',
};

/** Reads what it knows; an outcome that there is not is left out. */
export function readFilters(params: URLSearchParams): Filters {
  const get = (name: keyof Filters): string => params.get(NAMES[name])?.trim() ?? '';
  return {
    who: get('who'),
    action: get('action'),
    object: get('object'),
    outcome: OUTCOMES.find((one) => one === get('outcome')) ?? '',
    text: get('text'),
  };
}

/** Filters as changes of the address; what is empty goes from it. The open entry stays. */
export function changesOf(filters: Partial<Filters>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(filters).map(([name, value]) => [NAMES[name as keyof Filters], value.trim()]),
  );
}

export const NO_FILTERS: Filters = { who: '', action: '', object: '', outcome: '', text: '' };

export function isFiltered(filters: Filters): boolean {
  return Object.values(filters).some((value) => value !== '');
}

/** A span in nanoseconds; null for the whole trail. */
export type Bounds = { readonly from: bigint; readonly to: bigint } | null;

export function queryOf(filters: Filters, bounds: Bounds): Query {
  return {
    ...(filters.who ? { actor: filters.who } : {}),
    ...(filters.action ? { action: filters.action } : {}),
    ...(filters.object ? { object: filters.object } : {}),
    ...(filters.outcome ? { outcome: filters.outcome } : {}),
    ...(filters.text ? { q: filters.text } : {}),
    ...(bounds ? { from: String(bounds.from), to: String(bounds.to) } : {}),
  };
}

export interface Option {
  readonly value: string;
  readonly label: string;
}

/** Actions to choose from: each noun as a whole, then its verbs. One that the server did not name but the address does is kept. */
export function actionOptions(actions: readonly string[], present: string): Option[] {
  const options: Option[] = [{ value: '', label: 'Any action' }];
  const nouns = [...new Set(actions.map((action) => action.split('.')[0] ?? action))];
  for (const noun of nouns) {
    const verbs = actions.filter((action) => action.startsWith(`${noun}.`));
    if (verbs.length > 1) options.push({ value: `${noun}.*`, label: `${noun}: any` });
    for (const verb of verbs) options.push({ value: verb, label: verb });
  }
  if (!options.some((option) => option.value === present)) options.push({ value: present, label: present });
  return options;
}
