import { describe, expect, it } from 'vitest';
import { ApiError } from '$lib/api/errors';
import { deviceOf } from './agent';
import { expiresAt, lifeOf } from './expiry';
import { since, span, until } from './moments';
import { problemsOf } from './problems';
import { makePassword } from './secret';

describe("an error's place", () => {
  it('is its field where the form has it', () => {
    const error = new ApiError(409, 'USERNAME_TAKEN', 'there is a user ann already', { field: 'username' });
    expect(problemsOf(error, ['username']).fields).toEqual({ username: 'There is a user ann already.' });
    expect(problemsOf(error, []).top).toBe('There is a user ann already.');
  });

  it('is read from a body that has the wrong shape', () => {
    const problems = [{ field: 'roles.0', problem: 'String should have at most 64 characters' }];
    const error = new ApiError(400, 'INVALID_REQUEST', 'roles.0: too long', { problems });
    expect(problemsOf(error, ['roles']).fields).toEqual({ roles: 'String should have at most 64 characters.' });
    expect(problemsOf(error, ['name'])).toMatchObject({ fields: {}, top: 'Roles.0: too long.' });
  });

  it('is a permission, and told at the top too', () => {
    const error = new ApiError(403, 'BEYOND_YOUR_PERMISSIONS', "you can't decide over *", { permission: '*' });
    expect(problemsOf(error, ['name'])).toMatchObject({ refused: { text: '*' }, top: "You can't decide over *." });
  });
});

describe('a device', () => {
  it.each([
    ['Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0', 'Firefox 128 on Linux'],
    [
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0',
      'Edge 131 on Windows',
    ],
    [
      'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15',
      'Safari 17 on macOS',
    ],
    [
      'Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36',
      'Chrome 131 on Android',
    ],
    ['curl/8.5.0', 'curl 8.5.0'],
    ['Python/3.11 aiohttp/3.9', 'Python'],
    ['', 'Unknown program'],
  ])('%s', (agent, words) => expect(deviceOf(agent)).toBe(words));
});

describe('the life of a key', () => {
  const NOW = Date.parse('2026-11-24T12:00:00Z');

  it('is counted in days, or to the end of a date, or has no end', () => {
    expect(expiresAt('7', '', NOW)).toBe('2026-12-01T12:00:00.000Z');
    expect(expiresAt('never', '', NOW)).toBeNull();
    expect(expiresAt('date', '2026-12-24', NOW)).toBe(new Date('2026-12-24T23:59:59').toISOString());
  });

  it('is told when it ends within a week', () => {
    expect(lifeOf(null, NOW)).toBe('lasting');
    expect(lifeOf('2026-12-24T00:00:00Z', NOW)).toBe('lasting');
    expect(lifeOf('2026-11-28T00:00:00Z', NOW)).toBe('soon');
    expect(lifeOf('2026-11-24T12:00:00Z', NOW)).toBe('over');
  });

  it('is told in words', () => {
    expect(until('2026-11-28T12:00:00Z', NOW)).toBe('in 4 days');
    expect(since('2026-11-24T11:55:00Z', NOW)).toBe('5 min ago');
    expect(since('2026-11-24T11:59:59Z', NOW)).toBe('just now');
    expect([span(604_800), span(86_400), span(5400), span(3600)]).toEqual(['7 days', '1 day', '90 min', '1 h']);
  });
});

describe('a password made here', () => {
  it('has four groups of five letters that read alike in no font, and differs each time', () => {
    expect(makePassword()).toMatch(/^([a-hjkmnp-z2-9]{5}-){3}[a-hjkmnp-z2-9]{5}$/);
    expect(makePassword()).not.toBe(makePassword());
  });

  it('throws away bytes that would favour some letters', () => {
    let turn = 0;
    const random = (bytes: Uint8Array): Uint8Array => bytes.fill(turn++ === 0 ? 255 : 0);
    expect(makePassword(random)).toBe('aaaaa-aaaaa-aaaaa-aaaaa');
    expect(turn).toBeGreaterThan(1);
  });
});
