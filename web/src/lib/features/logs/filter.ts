/** What the reader asks for, as words and chips, and the LogQL that says the same. */
import { LEVELS, type Level } from './line';

/** A text that lines must hold, or must not. */
export interface Term {
  readonly text: string;
  readonly regex: boolean;
  readonly matchCase: boolean;
  readonly not: boolean;
}

/** Where a field lives decides where LogQL can ask for it. */
export type Source = 'label' | 'meta' | 'json' | 'logfmt';

export interface FieldFilter {
  readonly source: Source;
  readonly name: string;
  readonly value: string;
  readonly not: boolean;
}

export interface Filter {
  readonly services: readonly string[];
  readonly levels: readonly Level[];
  /** What stands in the search field. */
  readonly text: string;
  readonly regex: boolean;
  readonly matchCase: boolean;
  /** Further texts, as chips. */
  readonly terms: readonly Term[];
  /** Values of one field are alternatives; different fields must all hold. */
  readonly fields: readonly FieldFilter[];
}

export const EVERYTHING: Filter = {
  services: [],
  levels: [],
  text: '',
  regex: false,
  matchCase: false,
  terms: [],
  fields: [],
};

/** Words that stand for a level in `detected_level`. */
export const LEVEL_WORDS: Readonly<Record<Level, readonly string[]>> = {
  error: ['error', 'err', 'critical', 'fatal'],
  warn: ['warn', 'warning'],
  info: ['info'],
  debug: ['debug', 'trace'],
  unknown: ['unknown', ''],
};

export function toLogql(filter: Filter): string {
  const labels = filter.fields.filter((f) => f.source === 'label');
  const selector = [...valueMatchers('service_name', filter.services), ...groups(labels).flatMap(matchersOf)];
  // A selector must hold one matcher that no empty value passes.
  if (!selector.some((m) => /^\w+=(?!~?"")/.test(m))) selector.unshift('service_name=~".+"');
  const stages: string[] = [];
  for (const term of termsOf(filter)) stages.push(lineFilter(term));
  const levels = valueMatchers(
    'detected_level',
    filter.levels.flatMap((l) => LEVEL_WORDS[l]),
  );
  stages.push(...levels.map((m) => `| ${m}`));
  for (const source of ['meta', 'json', 'logfmt'] as const) {
    const asked = filter.fields.filter((f) => f.source === source);
    if (asked.length === 0) continue;
    if (source !== 'meta') stages.push(`| ${source}`);
    stages.push(
      ...groups(asked)
        .flatMap(matchersOf)
        .map((m) => `| ${m}`),
    );
  }
  return [`{${selector.join(', ')}}`, ...stages].join(' ');
}

/** All texts asked for, that of the search field first. */
export function termsOf(filter: Filter): Term[] {
  const { text, regex, matchCase } = filter;
  return [...(text === '' ? [] : [{ text, regex, matchCase, not: false }]), ...filter.terms];
}

function lineFilter({ text, regex, matchCase, not }: Term): string {
  if (matchCase) return `${not ? '!' : '|'}${regex ? '~' : '='} ${quote(text)}`;
  return `${not ? '!~' : '|~'} ${quote(`(?i)${regex ? text : escapeRegex(text)}`)}`;
}

function groups(fields: readonly FieldFilter[]): FieldFilter[][] {
  const byName = new Map<string, FieldFilter[]>();
  for (const field of fields) byName.set(field.name, [...(byName.get(field.name) ?? []), field]);
  return [...byName.values()];
}

function matchersOf(group: readonly FieldFilter[]): string[] {
  const name = group[0]?.name ?? '';
  const wanted = group.filter((f) => !f.not).map((f) => f.value);
  return [...valueMatchers(name, wanted), ...group.filter((f) => f.not).map((f) => `${name}!=${quote(f.value)}`)];
}

function valueMatchers(name: string, values: readonly string[]): string[] {
  if (values.length === 0) return [];
  if (values.length === 1) return [`${name}=${quote(values[0] ?? '')}`];
  return [`${name}=~${quote(values.map(escapeRegex).join('|'))}`];
}

/** A LogQL string. JSON's escapes are all among Go's. */
export function quote(text: string): string {
  return JSON.stringify(text)
    .replaceAll('\u2028', '\\u2028')
    .replaceAll('\u2029', '\\u2029')
    .replaceAll('\x7f', '\\u007f');
}

export function escapeRegex(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&');
}

/** The text that a regular expression says literally; null where it says more. */
export function unescapeRegex(pattern: string): string | null {
  let text = '';
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern.charAt(i);
    if (c === '\\') {
      const next = pattern.charAt(++i);
      if (!/[\\.+*?()|[\]{}^$\-/"' ]/.test(next)) return null;
      text += next;
    } else if (/[.+*?()|[\]{}^$]/.test(c)) return null;
    else text += c;
  }
  return text;
}

export function isEverything(filter: Filter): boolean {
  return (
    filter.text === '' &&
    filter.services.length + filter.levels.length + filter.terms.length + filter.fields.length === 0
  );
}

/** Adds the value, or takes it away where it is there. */
export function toggled<T>(values: readonly T[], value: T): T[] {
  return values.includes(value) ? values.filter((v) => v !== value) : [...values, value];
}

export function sameField(a: FieldFilter, b: FieldFilter): boolean {
  return a.source === b.source && a.name === b.name && a.value === b.value && a.not === b.not;
}

/** Adds a field filter, or takes it away where it is there. Its opposite goes. */
export function toggledField(fields: readonly FieldFilter[], field: FieldFilter): FieldFilter[] {
  const others = fields.filter((f) => !sameField(f, field) && !sameField(f, { ...field, not: !field.not }));
  return fields.some((f) => sameField(f, field)) ? others : [...others, field];
}

/** How a choice of levels reads on a chip. */
export function levelsWords(levels: readonly Level[]): { relation: string; text: string } {
  const chosen = LEVELS.filter((l) => levels.includes(l));
  if (chosen.length > 1 && chosen.length < 5 && chosen.every((l, i) => l === LEVELS[i])) {
    return { relation: 'level ≥', text: chosen.at(-1) ?? '' };
  }
  return { relation: 'level', text: chosen.join(', ') };
}
