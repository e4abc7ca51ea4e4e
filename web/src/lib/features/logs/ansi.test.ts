import { describe, expect, it } from 'vitest';
import { readAnsi, stripAnsi } from './ansi';

describe('readAnsi', () => {
  it('leaves a plain line in one piece', () => {
    expect(readAnsi('hello <b>')).toEqual([{ text: 'hello <b>', classes: '' }]);
  });
  it('turns colours and weights into classes and resets them', () => {
    expect(readAnsi('a\x1b[1;31mb\x1b[0mc\x1b[93;44md\x1b[39me')).toEqual([
      { text: 'a', classes: '' },
      { text: 'b', classes: 'a-b a-f1' },
      { text: 'c', classes: '' },
      { text: 'd', classes: 'a-f11 a-g4' },
      { text: 'e', classes: 'a-g4' },
    ]);
  });
  it('brings 256 and true colours down to the sixteen that hold in both themes', () => {
    expect(readAnsi('\x1b[38;5;196mx')).toEqual([{ text: 'x', classes: 'a-f9' }]);
    expect(readAnsi('\x1b[38;2;0;180;0mx')).toEqual([{ text: 'x', classes: 'a-f2' }]);
    expect(readAnsi('\x1b[48;5;240mx')).toEqual([{ text: 'x', classes: 'a-g8' }]);
    expect(readAnsi('\x1b[38;5;2;4mx')).toEqual([{ text: 'x', classes: 'a-u a-f2' }]);
  });
  it('swaps colours for inverse, and says so where there are none', () => {
    expect(readAnsi('\x1b[31;7mx')).toEqual([{ text: 'x', classes: 'a-g1' }]);
    expect(readAnsi('\x1b[7mx')).toEqual([{ text: 'x', classes: 'a-v' }]);
  });
  it('drops cursor moves, titles, links and clipboard writes', () => {
    expect(stripAnsi('a\x1b[2Jb\x1b]0;title\x07c\x1b]52;c;ZXZpbA==\x1b\\d\x1b]8;;http://x\x07e')).toBe('abcde');
  });
  it('hides nothing behind a sequence that never ends', () => {
    expect(stripAnsi('a\x1b[')).toBe('a');
    expect(stripAnsi('a\x1b]0;never')).toBe('a0;never');
  });
  it('shows what would hide: NUL, bidirectional overrides, zero width', () => {
    expect(stripAnsi('a\0b')).toBe('a\u2400b');
    expect(stripAnsi('a\u202eb')).toBe('a⟨U+202E⟩b');
    expect(stripAnsi('x\r')).toBe('x');
  });
  it('keeps tabs, line ends, accents and emoji', () => {
    expect(stripAnsi('a\tb\nž 👩‍👩‍👧')).toBe('a\tb\nž 👩‍👩‍👧');
  });
});
