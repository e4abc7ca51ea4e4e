/** What the palette finds: goals whose name or kind holds every word, those that begin with it first. */
export interface Goal {
  readonly kind: string;
  readonly name: string;
  readonly go: () => void;
}

const MOST = 12;

export function choose(goals: readonly Goal[], words: string): readonly Goal[] {
  const parts = words.toLowerCase().split(/\s+/).filter(Boolean);
  return goals
    .map((goal) => ({ goal, text: `${goal.name} ${goal.kind}`.toLowerCase() }))
    .filter(({ text }) => parts.every((part) => text.includes(part)))
    .toSorted((a, b) => rank(a.text, parts) - rank(b.text, parts))
    .slice(0, MOST)
    .map(({ goal }) => goal);
}

function rank(text: string, parts: readonly string[]): number {
  const first = parts[0];
  return first === undefined || text.startsWith(first) ? 0 : 1;
}
