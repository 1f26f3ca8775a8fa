import { expect, test } from '@jest/globals';
import { closest } from '../../../compat/config/closest.ts';

test.each([
  ['datadir', 'data_dir'],
  ['htpp', 'http'],
  ['Ports', 'ports'],
  ['retryjoin', 'retry_join'],
  ['foo', undefined],
  ['', undefined],
  ['completely_different', undefined],
])('%j means %j', (word, meant) => {
  expect(closest(word, ['data_dir', 'http', 'https', 'ports', 'retry_join', 'datacenter'])).toBe(meant);
});
