/** Permissions as texts and as parts: `noun:verb`, `noun:*` or `*`, each perhaps with a scope of label matchers. */
import type { Schemas } from '$lib/api/client';

export type Permission = Schemas['Permission'];

/** What each permission lets one do. A permission that the API gains is missed here by the type checker. */
export const WORDS: Readonly<Record<Permission, string>> = {
  'logs:read': 'Search, follow and export lines',
  'logs:write': 'Push lines',
  'metrics:read': 'Query metrics freely',
  'metrics:write': 'Write metrics',
  'containers:read': 'See state and resources',
  'containers:act': 'Start, stop, restart, remove',
  'terminal:open': 'Open shells',
  'dashboards:read': 'Look at dashboards',
  'dashboards:write': 'Change dashboards',
  'alerts:read': 'See alerts, rules and silences',
  'alerts:write': 'Change alerts, rules and silences',
  'audit:read': 'Read the audit trail',
  'users:write': 'Manage users and roles',
  'proxy:grafana': 'Use Grafana through Pilothouse',
};

export const PERMISSIONS = Object.keys(WORDS) as Permission[];

export interface Area {
  readonly noun: string;
  readonly title: string;
  readonly permissions: readonly Permission[];
  /** Whether its objects carry labels, so that a scope can narrow it. */
  readonly scoped: boolean;
}

const TITLES: readonly (readonly [noun: string, title: string, scoped: boolean])[] = [
  ['logs', 'Logs', true],
  ['metrics', 'Metrics', true],
  ['containers', 'Containers', true],
  ['terminal', 'Terminals', true],
  ['dashboards', 'Dashboards', false],
  ['alerts', 'Alerts', true],
  ['audit', 'Audit', false],
  ['users', 'Users', false],
  ['proxy', 'Grafana', false],
];

export const AREAS: readonly Area[] = TITLES.map(([noun, title, scoped]) => ({
  noun,
  title,
  scoped,
  permissions: PERMISSIONS.filter((permission) => nounOf(permission) === noun),
}));

export interface Grant {
  readonly name: string;
  /** The matchers between the braces, as one text; empty stands for everything. */
  readonly scope: string;
}

export function nounOf(name: string): string {
  return name.split(':')[0] ?? name;
}

export function parseGrant(text: string): Grant {
  const brace = text.indexOf('{');
  if (brace < 0) return { name: text.trim(), scope: '' };
  return { name: text.slice(0, brace).trim(), scope: text.slice(brace + 1, text.lastIndexOf('}')).trim() };
}

export function grantText(grant: Grant): string {
  return grant.scope.trim() ? `${grant.name}{${grant.scope.trim()}}` : grant.name;
}

const MATCHER = /^\s*([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|`[^`]*`)\s*/;

/** The matchers of a scope, each as the server writes it; null where the text is not one. */
export function matchersOf(scope: string): string[] | null {
  const found: string[] = [];
  for (let rest = scope.trim(); rest;) {
    const parts = MATCHER.exec(rest);
    if (!parts) return null;
    found.push(`${parts[1]}${parts[2]}${parts[3]}`);
    rest = rest.slice(parts[0].length);
    if (!rest) break;
    if (!rest.startsWith(',')) return null;
    rest = rest.slice(1);
  }
  return found;
}

/** What is wrong with a scope that somebody writes; empty where nothing is. */
export function scopeProblem(scope: string): string {
  return matchersOf(scope) === null ? 'Write it as label="value", label=~"one|other".' : '';
}

function nameWithin(inner: string, outer: string): boolean {
  return outer === '*' || outer === inner || (outer.endsWith(':*') && inner.startsWith(outer.slice(0, -1)));
}

/** Whether somebody who holds `held` may give `wanted`: one of theirs says at least as much. The server's own rule. */
export function holds(held: readonly Grant[], wanted: Grant): boolean {
  return held.some((own) => nameWithin(wanted.name, own.name) && scopeWithin(wanted.scope, own.scope));
}

function scopeWithin(inner: string, outer: string): boolean {
  const narrow = matchersOf(inner);
  const wide = matchersOf(outer);
  return narrow !== null && wide !== null && wide.every((matcher) => narrow.includes(matcher));
}

/** The scopes within which somebody holds a permission: `['']` is everywhere, none is not at all. */
export function scopesOf(held: readonly Grant[], name: string, scoped: boolean): string[] {
  const scopes = held
    .filter((own) => nameWithin(name, own.name) && (scoped || own.scope === ''))
    .map((own) => own.scope);
  return scopes.includes('') ? [''] : [...new Set(scopes)];
}

/** A set of permissions being chosen: what stands under each name, with one scope or several. */
export type Choice = Readonly<Record<string, readonly string[]>>;

export function choiceOf(texts: readonly string[]): Choice {
  const choice: Record<string, string[]> = {};
  for (const grant of texts.map(parseGrant)) (choice[grant.name] ??= []).push(grant.scope);
  return choice;
}

/** As texts, in the order of the areas, so that the same choice is always the same list. */
export function textsOf(choice: Choice): string[] {
  const order = ['*', ...AREAS.flatMap((area) => [`${area.noun}:*`, ...area.permissions])];
  const names = [...order.filter((name) => name in choice), ...Object.keys(choice).filter((n) => !order.includes(n))];
  return names.flatMap((name) => [...new Set((choice[name] ?? []).map((scope) => grantText({ name, scope })))]);
}

/** A name that says no more than another one that is chosen for everything: it is ticked by that. */
export function impliedBy(choice: Choice, name: string): string {
  if (name !== '*' && choice['*']?.includes('')) return '*';
  const all = `${nounOf(name)}:*`;
  return name !== all && name !== '*' && choice[all]?.includes('') ? all : '';
}
