import { toasts } from '$lib/state/toasts.svelte';

/** Copies, and says so: `what` begins the sentence, as in "The key is". */
export async function copy(text: string, what: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    toasts.say(`${what} copied.`);
  } catch {
    toasts.fail('The browser did not allow copying. Select the text and copy it by hand.');
  }
}
