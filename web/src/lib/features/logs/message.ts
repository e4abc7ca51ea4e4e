/** Reads a line as the structure it was written with: JSON, logfmt or plain text. */

export type Format = 'json' | 'logfmt' | 'plain';

export interface Field {
  /** The name a LogQL filter knows it by: nested names joined by `_`, as Loki's json parser does. */
  readonly name: string;
  readonly value: string;
  /** False where LogQL has no name for it (arrays). */
  readonly filterable: boolean;
}

export interface Reading {
  readonly format: Format;
  /** What a reader should see first. */
  readonly message: string;
  /** All fields, the message's own included, in the order they were written. */
  readonly fields: readonly Field[];
  /** Fields worth showing beside the message: not the message, the time or the level. */
  readonly rest: readonly Field[];
}

const MESSAGE = ['message', 'msg', 'log', 'event', 'text', 'body'];
const SAID_ELSEWHERE = new Set(
  '@timestamp asctime datetime level levelname log_level loglevel lvl severity time timestamp ts'.split(' '),
);
const MOST_FIELDS = 200;
const DEEPEST = 8;

export function readLine(line: string): Reading {
  return readJson(line) ?? readLogfmt(line) ?? { format: 'plain', message: line, fields: [], rest: [] };
}

function readJson(line: string): Reading | null {
  const text = line.trimStart();
  if (!text.startsWith('{') || !text.trimEnd().endsWith('}')) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const fields: Field[] = [];
  flatten(value as Record<string, unknown>, '', 0, fields);
  const found = MESSAGE.map((name) => fields.find((f) => f.name === name)).find(
    (f) => f !== undefined && f.value !== '',
  );
  return {
    format: 'json',
    message: found?.value ?? '',
    fields,
    rest: fields.filter((f) => f !== found && !SAID_ELSEWHERE.has(f.name.toLowerCase())),
  };
}

function flatten(value: Record<string, unknown>, prefix: string, depth: number, into: Field[]): void {
  for (const [key, inner] of Object.entries(value)) {
    if (into.length >= MOST_FIELDS) return;
    const name = prefix + labelName(key, prefix === '');
    if (Array.isArray(inner) || (depth >= DEEPEST && typeof inner === 'object' && inner !== null)) {
      into.push({ name, value: JSON.stringify(inner), filterable: false });
    } else if (typeof inner === 'object' && inner !== null) {
      flatten(inner as Record<string, unknown>, `${name}_`, depth + 1, into);
    } else if (inner !== null) {
      into.push({ name, value: typeof inner === 'string' ? inner : String(inner), filterable: true });
    }
  }
}

/** A name Loki would give: what is no letter, digit or underscore becomes an underscore. */
function labelName(key: string, first: boolean): string {
  const name = key.trim().replace(/[^a-zA-Z0-9_]/g, '_');
  return first && /^\d/.test(name) ? `_${name}` : name;
}

const PAIR = /(?:^|\s)([A-Za-z_][\w.\-/]*)=("(?:[^"\\]|\\.)*"|[^\s"]*)(?=\s|$)/g;
/** Beyond this a line is a blob: reading it for pairs would cost more than it tells. */
const LONGEST_LOGFMT = 16_384;

function readLogfmt(line: string): Reading | null {
  if (line.length > LONGEST_LOGFMT || !line.includes('=')) return null;
  const fields: Field[] = [];
  for (const [, key, raw] of line.matchAll(PAIR)) {
    if (fields.length >= MOST_FIELDS) break;
    const value = raw?.startsWith('"') ? unquote(raw) : (raw ?? '');
    fields.push({ name: labelName(key ?? '', true), value, filterable: true });
  }
  if (fields.length < 2) return null;
  // The line itself stays the message: it is readable, and cutting it apart would lose what stands between the pairs.
  return { format: 'logfmt', message: line, fields, rest: [] };
}

function unquote(text: string): string {
  try {
    return JSON.parse(text) as string;
  } catch {
    return text.slice(1, -1);
  }
}
