import { describe, expect, it } from 'vitest';
import { choose, type Goal } from './palette';

const goals: Goal[] = ['Logs', 'catalog', 'Settings'].map((name) => ({ kind: 'Page', name, go: () => undefined }));
const names = (words: string): string[] => choose(goals, words).map((goal) => goal.name);

describe('the palette', () => {
  it('finds by any part of a name, whatever the case, the beginning first', () => {
    expect(names('LOG')).toEqual(['Logs', 'catalog']);
  });

  it('wants every word, in the name or the kind', () => {
    expect(names('set page')).toEqual(['Settings']);
    expect(names('set nothing')).toEqual([]);
  });

  it('shows all before anything is typed', () => {
    expect(names('')).toEqual(['Logs', 'catalog', 'Settings']);
  });
});
