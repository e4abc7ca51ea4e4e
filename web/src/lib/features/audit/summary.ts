/** The details of an entry in a few words, for its row. */

/** Said elsewhere in the row, or of use only when the entry is open. */
const LEFT_OUT = new Set(['entry', 'id', 'new_password', 'start', 'end', 'from', 'to', 'cursor', 'direction', 'limit']);
/** What was asked for, before how it was asked. */
const FIRST = ['query', 'q', 'search'];
const MOST = 160;

interface Detailed {
  readonly outcome: string;
  readonly object: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** `ann · roles viewer, auditor · LAST_ADMINISTRATOR`: a name that the object lacks first, why it went wrong last. */
export function summaryOf(entry: Detailed): string {
  const { username, error, code, ...others } = entry.details;
  const parts: string[] = [];
  if (typeof username === 'string' && username !== entry.object) parts.push(username);
  const rank = (name: string): number => (FIRST.includes(name) ? 0 : 1);
  const pairs = Object.entries(others).sort(([a], [b]) => rank(a) - rank(b));
  for (const [name, value] of pairs) {
    const words = LEFT_OUT.has(name) ? '' : wordsOf(value);
    if (words) parts.push(`${name} ${words}`);
  }
  const why = error ?? code;
  if (typeof why === 'string') parts.push(why);
  const text = parts.join(' · ');
  return text.length > MOST ? `${text.slice(0, MOST)}…` : text;
}

function wordsOf(value: unknown): string {
  if (value === null || value === false || value === '') return '';
  if (Array.isArray(value)) return value.map(wordsOf).filter(Boolean).join(', ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
