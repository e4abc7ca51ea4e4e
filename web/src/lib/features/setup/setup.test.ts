import { expect, it } from 'vitest';
import { tokenIn } from './setup';

it('reads the token of a link, and nothing else', () => {
  expect(tokenIn('#token=a-B_9')).toBe('a-B_9');
  expect(tokenIn('')).toBe('');
  expect(tokenIn('#other=1')).toBe('');
});
