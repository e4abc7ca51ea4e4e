/**
 * Terminal colours in log lines. SGR sequences become class names; every other escape sequence is dropped and other
 * control characters are shown as pictures, so that nothing a line holds can act on the page or hide from its reader.
 */

export interface Styled {
  readonly text: string;
  /** Space-separated classes: `a-b` bold, `a-d` dim, `a-i` italic, `a-u` underlined, `a-fN` and `a-gN` colours 0..15. */
  readonly classes: string;
}

// CSI … final byte; OSC/DCS/SOS/PM/APC … ST or BEL (one without an end hides nothing); two-byte escapes; C1 forms.
const SEQUENCE =
  /(?:\x1b\[|\x9b)([0-?]*)[ -/]*([@-~])|(?:\x1b[\]PX^_]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)|\x1b[ -/]*[0-~]?/g;
const UNSEEN = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;
const QUICK = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/;

interface Style {
  bold: boolean;
  dim: boolean;
  italic: boolean;
  underline: boolean;
  inverse: boolean;
  fore: number;
  back: number;
}

const plain = (): Style => ({
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  inverse: false,
  fore: -1,
  back: -1,
});

/** Cuts a line into pieces of one style each. Empty pieces are left out. */
export function readAnsi(text: string): Styled[] {
  if (!QUICK.test(text)) return text ? [{ text, classes: '' }] : [];
  const pieces: Styled[] = [];
  const style = plain();
  let from = 0;
  const take = (to: number): void => {
    const visible = showUnseen(text.slice(from, to));
    if (!visible) return;
    const classes = classesOf(style);
    const last = pieces.at(-1);
    if (last?.classes === classes) pieces[pieces.length - 1] = { text: last.text + visible, classes };
    else pieces.push({ text: visible, classes });
  };
  for (const found of text.matchAll(SEQUENCE)) {
    take(found.index);
    from = found.index + found[0].length;
    if (found[2] === 'm') applySgr(style, found[1] ?? '');
  }
  take(text.length);
  return pieces;
}

/** The text a reader sees: no escape sequences, control characters as pictures. */
export function stripAnsi(text: string): string {
  return QUICK.test(text) ? showUnseen(text.replace(SEQUENCE, '')) : text;
}

function showUnseen(text: string): string {
  return text.replace(UNSEEN, (c) => {
    const code = c.charCodeAt(0);
    if (c === '\r') return '';
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    if (code === 0x7f) return '\u2421';
    return `\u27e8U+${code.toString(16).toUpperCase().padStart(4, '0')}\u27e9`;
  });
}

function applySgr(style: Style, text: string): void {
  const codes = text.split(/[;:]/).map((part) => (part === '' ? 0 : Number(part)));
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i] ?? 0;
    if (code === 0) Object.assign(style, plain());
    else if (code === 1) style.bold = true;
    else if (code === 2) style.dim = true;
    else if (code === 3) style.italic = true;
    else if (code === 4) style.underline = true;
    else if (code === 7) style.inverse = true;
    else if (code === 22) style.bold = style.dim = false;
    else if (code === 23) style.italic = false;
    else if (code === 24) style.underline = false;
    else if (code === 27) style.inverse = false;
    else if (code >= 30 && code <= 37) style.fore = code - 30;
    else if (code === 39) style.fore = -1;
    else if (code >= 40 && code <= 47) style.back = code - 40;
    else if (code === 49) style.back = -1;
    else if (code >= 90 && code <= 97) style.fore = code - 82;
    else if (code >= 100 && code <= 107) style.back = code - 92;
    else if (code === 38 || code === 48) {
      const palette = codes[i + 1] === 5;
      const colour = palette ? nearest256(codes[i + 2] ?? 0) : nearest(codes[i + 2], codes[i + 3], codes[i + 4]);
      i += palette ? 2 : codes[i + 1] === 2 ? 4 : 0;
      if (code === 38) style.fore = colour;
      else style.back = colour;
    }
  }
}

/** One of the sixteen colours for a place in the palette of 256. */
function nearest256(index: number): number {
  if (index < 16) return Math.max(0, index);
  if (index >= 232) return nearest(8 + (index - 232) * 10, 8 + (index - 232) * 10, 8 + (index - 232) * 10);
  const cube = index - 16;
  const channel = (n: number): number => (n === 0 ? 0 : 55 + n * 40);
  return nearest(channel(Math.floor(cube / 36)), channel(Math.floor(cube / 6) % 6), channel(cube % 6));
}

/** Sixteen colours hold in both themes; more would not. */
function nearest(red = 0, green = 0, blue = 0): number {
  const high = Math.max(red, green, blue);
  if (high - Math.min(red, green, blue) < 32) return high < 64 ? 0 : high < 144 ? 8 : high < 216 ? 7 : 15;
  const bit = (n: number): number => (n > high * 0.6 ? 1 : 0);
  return bit(red) + 2 * bit(green) + 4 * bit(blue) + (high > 200 ? 8 : 0);
}

function classesOf(style: Style): string {
  const fore = style.inverse ? style.back : style.fore;
  const back = style.inverse ? style.fore : style.back;
  const names: string[] = [];
  if (style.bold) names.push('a-b');
  if (style.dim) names.push('a-d');
  if (style.italic) names.push('a-i');
  if (style.underline) names.push('a-u');
  if (style.inverse && style.fore < 0 && style.back < 0) names.push('a-v');
  if (fore >= 0) names.push(`a-f${fore}`);
  if (back >= 0) names.push(`a-g${back}`);
  return names.join(' ');
}
