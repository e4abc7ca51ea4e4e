import { describe, expect, it } from 'vitest';
import { ago, axisTime, fullTime, lineTime, spanTime, zoneName } from './clock';
import { cursorTime, nanoseconds, rfc3339 } from './line';

const T = '2026-11-24T14:57:31.482913044Z';

describe('times', () => {
  it('of a line, short and whole', () => {
    expect(lineTime(T, 'utc', false)).toBe('14:57:31.482');
    expect(lineTime(T, 'utc', true)).toBe('11-24 14:57:31.482');
    expect(fullTime(T, 'utc')).toBe('2026-11-24 14:57:31.482913044');
    expect(lineTime('nonsense', 'utc', false)).toBe('nonsense');
  });
  it('of an axis are as coarse as its step', () => {
    const ms = Date.parse(T);
    expect(axisTime(ms, 60_000, 'utc')).toBe('14:57');
    expect(axisTime(ms, 1000, 'utc')).toBe('14:57:31');
    expect(axisTime(ms, 100, 'utc')).toBe('14:57:31.482');
    expect(axisTime(Date.parse('2026-11-25T00:00:00Z'), 3_600_000, 'utc')).toBe('11-25');
  });
  it('of a span name the day where it is not today', () => {
    const now = Date.parse(T);
    expect(spanTime(now - 900_000, now, 'utc', now)).toBe('14:42:31 – 14:57:31');
    expect(spanTime(now - 90_000_000, now, 'utc', now)).toBe('11-23 13:57:31 – 11-24 14:57:31');
  });
  it('keep every nanosecond both ways', () => {
    expect(rfc3339(nanoseconds(T))).toBe(T);
    expect(nanoseconds('2026-11-24T15:57:31.5+01:00')).toBe(nanoseconds('2026-11-24T14:57:31.500Z'));
    expect(nanoseconds('x')).toBe(0n);
    expect(cursorTime(nanoseconds(T).toString(16).padStart(16, '0') + '0'.repeat(16))).toBe(nanoseconds(T));
    expect(cursorTime('nope')).toBe(0n);
  });
  it('in words', () => {
    expect([ago(5000), ago(300_000), ago(3 * 3600_000), ago(5 * 86_400_000)]).toEqual([
      '5 s',
      '5 min',
      '3 h',
      '5 days',
    ]);
    expect(zoneName('utc', 0)).toBe('UTC');
  });
});
