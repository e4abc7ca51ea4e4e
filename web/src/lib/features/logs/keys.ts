/** Keys of the Logs page. Typing in a field is never taken for one. */

export type Step = 'search' | 'follow' | 'down' | 'up' | 'open' | 'close' | 'errors' | 'earlier' | 'later';

const STEPS: Readonly<Record<string, Step>> = {
  '/': 'search',
  f: 'follow',
  j: 'down',
  k: 'up',
  Enter: 'open',
  Escape: 'close',
  e: 'errors',
  '[': 'earlier',
  ']': 'later',
};

const FIELDS =
  'input, textarea, select, [contenteditable="true"], dialog, [popover], [role="dialog"], [role="menu"], [role="listbox"]';
/** Enter belongs to what it stands on. */
const PRESSABLE = 'button, a, summary, [role="button"], [role="application"]';

export function stepOf(
  event: Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'metaKey' | 'altKey' | 'defaultPrevented' | 'target'>,
): Step | null {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return null;
  const target = event.target instanceof Element ? event.target : null;
  if (target?.closest(FIELDS)) return null;
  if (event.key === 'Enter' && target?.closest(PRESSABLE)) return null;
  return STEPS[event.key] ?? null;
}
