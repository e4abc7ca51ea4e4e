/** An error of the server, laid beside the fields of a form. */
import { ApiError, wordsOf } from '$lib/api/errors';

export interface Problems {
  /** What is wrong with each field, by its name in the request. */
  readonly fields: Readonly<Record<string, string>>;
  /** The one permission that is meant, where it is about one. */
  readonly refused: { readonly text: string; readonly words: string } | null;
  /** What belongs to no field of the form. */
  readonly top: string;
}

export const NONE: Problems = { fields: {}, refused: null, top: '' };

/** `known` are the form's fields; what the server says of others goes to the top. */
export function problemsOf(error: unknown, known: readonly string[]): Problems {
  const words = wordsOf(error);
  if (!(error instanceof ApiError)) return { ...NONE, top: words };
  const { field, permission, problems } = error.details;
  if (typeof permission === 'string') return { ...NONE, refused: { text: permission, words }, top: words };
  if (typeof field === 'string' && known.includes(field)) return { ...NONE, fields: { [field]: words } };
  if (!Array.isArray(problems)) return { ...NONE, top: words };
  const fields: Record<string, string> = {};
  for (const one of problems as { field?: unknown; problem?: unknown }[]) {
    const name = String(one.field).split('.')[0] ?? '';
    if (!known.includes(name)) return { ...NONE, top: words };
    fields[name] = `${String(one.problem)}.`;
  }
  return { ...NONE, fields };
}
