import { describe, expect, it } from 'vitest';
import {
  AREAS,
  choiceOf,
  grantText,
  holds,
  impliedBy,
  matchersOf,
  parseGrant,
  PERMISSIONS,
  scopeProblem,
  scopesOf,
  textsOf,
} from './grants';

const held = (...texts: string[]) => texts.map(parseGrant);

describe('a permission as text', () => {
  it('reads and prints a name and its scope', () => {
    for (const text of ['*', 'logs:*', 'logs:read', 'logs:read{project="shop", service_name=~"api|web"}'])
      expect(grantText(parseGrant(text))).toBe(text);
  });

  it('has every permission in one area', () => {
    expect(AREAS.flatMap((area) => area.permissions)).toEqual(PERMISSIONS);
  });
});

describe('a scope', () => {
  it('is read to its matchers, commas and braces in values included', () => {
    expect(matchersOf(' project = "a,b}" ,service!~`x"y`')).toEqual(['project="a,b}"', 'service!~`x"y`']);
    expect(matchersOf('a="\\"",')).toEqual(['a="\\""']);
    expect(matchersOf('')).toEqual([]);
  });

  it('is refused where it is not one', () => {
    for (const text of ['project', 'project=shop', 'a="b" c="d"', '9a="b"', 'a="b']) {
      expect(matchersOf(text)).toBeNull();
      expect(scopeProblem(text)).not.toBe('');
    }
  });
});

describe('what may be given', () => {
  it('is what one of the own permissions says at least as much of', () => {
    expect(holds(held('logs:*'), parseGrant('logs:read'))).toBe(true);
    expect(holds(held('*'), parseGrant('users:write'))).toBe(true);
    expect(holds(held('logs:read{a="1"}'), parseGrant('logs:read{a="1", b="2"}'))).toBe(true);
    expect(holds(held('logs:read{a="1"}'), parseGrant('logs:read'))).toBe(false);
    expect(holds(held('logs:read'), parseGrant('logs:*'))).toBe(false);
    expect(holds(held('logs:*'), parseGrant('*'))).toBe(false);
    expect(holds(held('logs:read{a=~"1|2"}'), parseGrant('logs:read{a="1"}'))).toBe(false);
  });

  it('is offered with the own scopes', () => {
    expect(scopesOf(held('logs:read{a="1"}', 'logs:*{b="2"}'), 'logs:read', true)).toEqual(['a="1"', 'b="2"']);
    expect(scopesOf(held('logs:read{a="1"}', '*'), 'logs:read', true)).toEqual(['']);
    expect(scopesOf(held('*{a="1"}'), 'users:write', false)).toEqual([]);
    expect(scopesOf(held('logs:read'), 'logs:write', true)).toEqual([]);
  });
});

describe('a choice', () => {
  it('comes back as the same permissions, in one order, without repeats', () => {
    const texts = ['users:write', 'logs:read{a="1"}', 'logs:read{b="2"}', 'logs:read{a="1"}'];
    expect(textsOf(choiceOf(texts))).toEqual(['logs:read{a="1"}', 'logs:read{b="2"}', 'users:write']);
  });

  it('keeps a name that this page does not know', () => {
    expect(textsOf(choiceOf(['moon:walk', 'logs:read']))).toEqual(['logs:read', 'moon:walk']);
  });

  it('ticks by a wider name what that says for everything', () => {
    expect(impliedBy(choiceOf(['*']), 'logs:*')).toBe('*');
    expect(impliedBy(choiceOf(['logs:*']), 'logs:read')).toBe('logs:*');
    expect(impliedBy(choiceOf(['logs:*{a="1"}']), 'logs:read')).toBe('');
    expect(impliedBy(choiceOf(['logs:*']), 'logs:*')).toBe('');
    expect(impliedBy(choiceOf(['logs:*']), '*')).toBe('');
  });
});
