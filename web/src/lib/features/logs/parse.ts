/** Reads LogQL back into words and chips, where they can say it. The server judges the rest. */
import {
  EVERYTHING,
  LEVEL_WORDS,
  unescapeRegex,
  type FieldFilter,
  type Filter,
  type Source,
  type Term,
} from './filter';
import { LEVELS, type Level } from './line';

type Token = { readonly kind: 'string' | 'name' | 'mark'; readonly text: string };

const TOKEN = /\s+|("(?:[^"\\\n]|\\.)*"|`[^`]*`)|([A-Za-z_][\w]*)|(\|=|\|~|!=|!~|=~|=|[{}|,])/y;

/** The filter that a query says, or null where it says more than words and chips can. */
export function fromLogql(query: string): Filter | null {
  const tokens = tokenize(query);
  if (!tokens) return null;
  try {
    return new Reader(tokens).filter();
  } catch (error) {
    if (error instanceof Beyond) return null;
    throw error;
  }
}

class Beyond extends Error {}

function tokenize(query: string): Token[] | null {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < query.length) {
    const found = TOKEN.exec(query);
    if (!found) return null;
    if (found[1] !== undefined) {
      const text = unquote(found[1]);
      if (text === null) return null;
      tokens.push({ kind: 'string', text });
    } else if (found[2] !== undefined) tokens.push({ kind: 'name', text: found[2] });
    else if (found[3] !== undefined) tokens.push({ kind: 'mark', text: found[3] });
  }
  return tokens;
}

function unquote(text: string): string | null {
  if (text.startsWith('`')) return text.slice(1, -1);
  try {
    return JSON.parse(text) as string;
  } catch {
    return null;
  }
}

class Reader {
  #at = 0;
  readonly #services: string[] = [];
  #levels: readonly Level[] = [];
  readonly #terms: Term[] = [];
  readonly #fields: FieldFilter[] = [];

  constructor(private readonly tokens: readonly Token[]) {}

  filter(): Filter {
    this.#selector();
    let source: Source = 'meta';
    while (this.#at < this.tokens.length) {
      const mark = this.#take('mark');
      if (mark === '|=' || mark === '|~' || mark === '!=' || mark === '!~') {
        // After a parser a line filter means the same; before it, it is cheaper: words always put it first.
        this.#terms.push(termOf(mark, this.#take('string')));
      } else if (mark === '|') {
        const name = this.#take('name');
        const next = this.tokens[this.#at];
        const compares = next?.kind === 'mark' && /^(?:=|!=|=~)$/.test(next.text);
        if ((name === 'json' || name === 'logfmt') && !compares) {
          if (source !== 'meta') throw new Beyond();
          source = name;
        } else this.#matcher(name, source);
      } else throw new Beyond();
    }
    const first = this.#terms.findIndex((t) => !t.not);
    const main = this.#terms[first];
    return {
      services: this.#services,
      levels: this.#levels,
      text: main?.text ?? EVERYTHING.text,
      regex: main?.regex ?? false,
      matchCase: main?.matchCase ?? false,
      terms: this.#terms.filter((_, i) => i !== first),
      fields: this.#fields,
    };
  }

  #selector(): void {
    this.#expect('{');
    while (this.tokens[this.#at]?.text !== '}' || this.tokens[this.#at]?.kind !== 'mark') {
      this.#matcher(this.#take('name'), 'label');
      if (this.tokens[this.#at]?.text === ',') this.#at++;
    }
    this.#expect('}');
  }

  #matcher(name: string, source: Source): void {
    const operator = this.#take('mark');
    const value = this.#take('string');
    if (source === 'label' && name === 'service_name') {
      if (operator === '=~' && value === '.+') return;
      if (this.#services.length > 0) throw new Beyond();
      this.#services.push(...valuesOf(operator, value));
    } else if (source === 'meta' && name === 'detected_level' && this.#takesLevels(operator, value)) {
      return;
    } else if (operator === '!=') {
      this.#fields.push({ source, name, value, not: true });
    } else {
      if (this.#fields.some((f) => f.source === source && f.name === name && !f.not)) throw new Beyond();
      for (const one of valuesOf(operator, value)) this.#fields.push({ source, name, value: one, not: false });
    }
  }

  /** True where the words are those of whole levels; a part of one (`critical` alone) stays a field's value. */
  #takesLevels(operator: string, value: string): boolean {
    if (this.#levels.length > 0 || operator === '!=') return false;
    const asked = valuesOf(operator, value);
    const levels = LEVELS.filter((l) => LEVEL_WORDS[l].every((w) => asked.includes(w)));
    if (levels.flatMap((l) => LEVEL_WORDS[l]).length !== new Set(asked).size) return false;
    this.#levels = levels;
    return true;
  }

  #take(kind: Token['kind']): string {
    const token = this.tokens[this.#at++];
    if (token?.kind !== kind) throw new Beyond();
    return token.text;
  }

  #expect(mark: string): void {
    if (this.#take('mark') !== mark) throw new Beyond();
  }
}

function valuesOf(operator: string, value: string): string[] {
  if (operator === '=') return [value];
  if (operator !== '=~') throw new Beyond();
  return splitAlternatives(value).map((part) => {
    const text = unescapeRegex(part);
    if (text === null) throw new Beyond();
    return text;
  });
}

/** Cuts at each `|` that no backslash holds. */
function splitAlternatives(pattern: string): string[] {
  const parts = [''];
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern.charAt(i);
    if (c === '|') parts.push('');
    else parts[parts.length - 1] += c === '\\' ? c + pattern.charAt(++i) : c;
  }
  return parts;
}

function termOf(mark: string, text: string): Term {
  const not = mark.startsWith('!');
  if (!mark.endsWith('~')) return { text, regex: false, matchCase: true, not };
  const matchCase = !text.startsWith('(?i)');
  const pattern = matchCase ? text : text.slice(4);
  const literal = matchCase ? null : unescapeRegex(pattern);
  return literal === null
    ? { text: pattern, regex: true, matchCase, not }
    : { text: literal, regex: false, matchCase: false, not };
}

/** The texts that a query's line filters look for, of a query that chips cannot say too. */
export function needlesOf(query: string): Term[] {
  return [...query.matchAll(/(\|[=~])\s*("(?:[^"\\]|\\.)*"|`[^`]*`)/g)].flatMap(([, mark, quoted]) => {
    const text = unquote(quoted ?? '');
    return text === null || text === '' ? [] : [termOf(mark ?? '', text)];
  });
}
