/** A password made here, from the browser's own randomness: 100 bits, in groups that can be read out. */
const LETTERS = 'abcdefghjkmnpqrstuvwxyz23456789';
const GROUPS = 4;
const EACH = 5;

export function makePassword(
  random: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array = (b) => crypto.getRandomValues(b),
): string {
  const out: string[] = [];
  // Bytes that would favour the first letters are thrown away.
  const fair = 256 - (256 % LETTERS.length);
  while (out.length < GROUPS * EACH) {
    for (const byte of random(new Uint8Array(32))) {
      if (byte < fair && out.length < GROUPS * EACH) out.push(LETTERS.charAt(byte % LETTERS.length));
    }
  }
  return Array.from({ length: GROUPS }, (_, g) => out.slice(g * EACH, (g + 1) * EACH).join('')).join('-');
}
