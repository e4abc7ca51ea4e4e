/** The page's state as an address, so that a copied one shows a colleague the same. */
import { EVERYTHING, type FieldFilter, type Filter, type Source, type Term } from './filter';
import { isCursor, LEVELS, type Level } from './line';

export type Form = 'words' | 'logql';

export interface PageState {
  readonly form: Form;
  readonly filter: Filter;
  /** What was asked in LogQL; holds only in that form. */
  readonly query: string;
  /** The cursor of the line that is open. */
  readonly line: string | null;
  readonly newestFirst: boolean;
  readonly live: boolean;
}

export const START: PageState = {
  form: 'words',
  filter: EVERYTHING,
  query: '',
  line: null,
  newestFirst: false,
  live: false,
};

const OWN = ['service', 'level', 'q', 'regex', 'case', 'has', 'lacks', 'only', 'not', 'query', 'line', 'order', 'live'];

/** Reads what it knows; what it does not understand is left out, never guessed. */
export function readAddress(params: URLSearchParams): PageState {
  const query = params.get('query');
  const line = params.get('line') ?? '';
  return {
    form: query === null ? 'words' : 'logql',
    query: query ?? '',
    filter: {
      services: params.getAll('service').filter((s) => s !== ''),
      levels: LEVELS.filter((l) => (params.getAll('level') as Level[]).includes(l)),
      text: params.get('q') ?? '',
      regex: params.get('regex') === '1',
      matchCase: params.get('case') === '1',
      terms: [...termsOf(params.getAll('has'), false), ...termsOf(params.getAll('lacks'), true)],
      fields: [...fieldsOf(params.getAll('only'), false), ...fieldsOf(params.getAll('not'), true)],
    },
    line: isCursor(line) ? line : null,
    newestFirst: params.get('order') === 'newest',
    live: params.get('live') === '1',
  };
}

/** Writes the page's own parameters over those of `params` (the time range's stay) and gives the result. */
export function writeAddress(state: PageState, params: URLSearchParams): URLSearchParams {
  const result = new URLSearchParams(params);
  for (const name of OWN) result.delete(name);
  const { filter } = state;
  if (state.form === 'logql') result.set('query', state.query);
  else {
    for (const service of filter.services) result.append('service', service);
    for (const level of filter.levels) result.append('level', level);
    if (filter.text) result.set('q', filter.text);
    if (filter.regex) result.set('regex', '1');
    if (filter.matchCase) result.set('case', '1');
    for (const term of filter.terms) result.append(term.not ? 'lacks' : 'has', termText(term));
    for (const f of filter.fields) result.append(f.not ? 'not' : 'only', `${f.source}.${f.name}=${f.value}`);
  }
  if (state.line) result.set('line', state.line);
  if (state.newestFirst) result.set('order', 'newest');
  if (state.live) result.set('live', '1');
  return result;
}

/** A term as one text: flags, a colon, the text. */
function termText(term: Term): string {
  return `${term.regex ? 'r' : ''}${term.matchCase ? 'c' : ''}:${term.text}`;
}

function termsOf(texts: readonly string[], not: boolean): Term[] {
  return texts.flatMap((text) => {
    const parts = /^(r?)(c?):([\s\S]+)$/.exec(text);
    if (!parts?.[3]) return [];
    return [{ text: parts[3], regex: parts[1] === 'r', matchCase: parts[2] === 'c', not }];
  });
}

function fieldsOf(texts: readonly string[], not: boolean): FieldFilter[] {
  return texts.flatMap((text) => {
    const parts = /^(label|meta|json|logfmt)\.([A-Za-z_]\w*)=([\s\S]*)$/.exec(text);
    if (!parts) return [];
    return [{ source: parts[1] as Source, name: parts[2] ?? '', value: parts[3] ?? '', not }];
  });
}
