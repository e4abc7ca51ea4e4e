/** What could come next at a place in a LogQL query. Works on text, for a query is seldom whole while it is typed. */

export type Place =
  | { readonly kind: 'label'; readonly from: number }
  /** Inside the string that a label is compared with; `selector` tells a stream's label from a line's field. */
  | { readonly kind: 'value'; readonly from: number; readonly label: string; readonly selector: boolean }
  | { readonly kind: 'stage'; readonly from: number }
  | { readonly kind: 'function'; readonly from: number }
  | { readonly kind: 'range'; readonly from: number }
  | { readonly kind: 'none' };

export const FUNCTIONS = [
  'rate',
  'count_over_time',
  'bytes_rate',
  'bytes_over_time',
  'sum_over_time',
  'avg_over_time',
  'max_over_time',
  'min_over_time',
  'quantile_over_time',
  'first_over_time',
  'last_over_time',
  'absent_over_time',
  'sum',
  'avg',
  'count',
  'max',
  'min',
  'topk',
  'bottomk',
] as const;

export const STAGES = [
  ['json', 'read the line as JSON'],
  ['logfmt', 'read the line as key=value pairs'],
  ['pattern', 'cut the line by a pattern'],
  ['regexp', 'cut the line by a regular expression with names'],
  ['unpack', 'read labels that were packed into the line'],
  ['line_format', 'write the line anew'],
  ['label_format', 'rename or write labels'],
  ['decolorize', 'take terminal colours away'],
  ['drop', 'drop labels'],
  ['keep', 'keep only these labels'],
  ['unwrap', 'take a label as the number to aggregate'],
] as const;

export const RANGES = ['1m', '5m', '15m', '1h', '1d'] as const;

export function placeAt(query: string, at: number): Place {
  let depth: 'query' | 'selector' | 'range' = 'query';
  let mark = '';
  let label = '';
  let compared = false;
  let i = 0;
  while (i < at) {
    const c = query.charAt(i);
    if (c === '"' || c === '`') {
      const end = endOfString(query, i, at);
      if (end === null) {
        if (!compared || label === '') return { kind: 'none' };
        return { kind: 'value', from: i + 1, label, selector: depth === 'selector' };
      }
      i = end;
      mark = 'string';
      compared = false;
      continue;
    }
    const word = /^[A-Za-z_]\w*/.exec(query.slice(i, at));
    if (word) {
      const from = i;
      i += word[0].length;
      if (i === at) return placeOfWord(depth, mark, from);
      label = word[0];
      compared = false;
      mark = mark === '|' && STAGES.some(([name]) => name === label) ? 'stage' : 'word';
      continue;
    }
    if (c === '{') depth = 'selector';
    else if (c === '[') depth = 'range';
    else if (c === '}' || c === ']') depth = 'query';
    if (/[=!~<>]/.test(c)) compared = mark === 'word' || compared;
    else if (!/\s/.test(c)) compared = false;
    // `|=` and `|~` are line filters: what follows is text of the reader's own.
    if (!/\s/.test(c) && !compared) mark = mark === '|' && /[=~>]/.test(c) ? 'filter' : c;
    i++;
  }
  if (compared) return { kind: 'none' };
  return placeOfWord(depth, mark, at);
}

function placeOfWord(depth: 'query' | 'selector' | 'range', mark: string, from: number): Place {
  if (depth === 'range') return { kind: 'range', from };
  if (depth === 'selector') return mark === '{' || mark === ',' ? { kind: 'label', from } : { kind: 'none' };
  if (mark === '|') return { kind: 'stage', from };
  if (mark === '' || mark === '(') return { kind: 'function', from };
  return { kind: 'none' };
}

/** The place after a string that begins at `from`; null where it does not end before `limit`. */
function endOfString(query: string, from: number, limit: number): number | null {
  const quote = query.charAt(from);
  for (let i = from + 1; i < limit; i++) {
    const c = query.charAt(i);
    if (c === '\\' && quote === '"') i++;
    else if (c === quote) return i + 1;
  }
  return null;
}
