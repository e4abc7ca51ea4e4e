import { describe, expect, it } from 'vitest';
import { stepOf } from './keys';

const press = (key: string, html = '<p></p>', more: Partial<KeyboardEvent> = {}): unknown => {
  document.body.innerHTML = html;
  const base = { key, ctrlKey: false, metaKey: false, altKey: false, defaultPrevented: false };
  return stepOf({ ...base, target: document.body.firstElementChild, ...more });
};

describe('keys', () => {
  it('are steps on the page', () => {
    expect(['/', 'f', 'j', 'k', 'Enter', 'Escape', 'e', '[', ']', 'x'].map((k) => press(k))).toEqual([
      'search',
      'follow',
      'down',
      'up',
      'open',
      'close',
      'errors',
      'earlier',
      'later',
      null,
    ]);
  });
  it('are letters in a field, and the browser’s with Ctrl', () => {
    expect(press('f', '<input>')).toBeNull();
    expect(press('e', '<div contenteditable="true"></div>')).toBeNull();
    expect(press('f', '<p></p>', { ctrlKey: true })).toBeNull();
    expect(press('Escape', '<div role="dialog"></div>')).toBeNull();
  });
  it('leave Enter to a button', () => {
    expect(press('Enter', '<button></button>')).toBeNull();
    expect(press('j', '<button></button>')).toBe('down');
  });
});
