import { describe, expect, test } from '@jest/globals';
import { fragmentSchema } from '../../../compat/config/config-schema.ts';
import { laterKeys } from '../../../compat/config/later-keys.ts';
import { reloadableKeys } from '../../../compat/config/reload.ts';
import { keysOf } from '../../../compat/config/schema-keys.ts';
import { keyTexts } from '../../../scripts/configuration-texts.ts';

const keys = keysOf(fragmentSchema);
const meant = keys.filter(({ ignored }) => !ignored).map(({ name }) => name);

describe('the documentation of keys', () => {
  test('has a text for every key with a meaning, and for no other', () => {
    expect(Object.keys(keyTexts).toSorted()).toEqual(meant.toSorted());
    for (const [meaning] of Object.values(keyTexts)) expect(meaning).toMatch(/\.$|:$|see below\.$/);
  });

  test('marks only keys that there are', () => {
    expect(meant).toEqual(expect.arrayContaining([...laterKeys]));
    for (const key of reloadableKeys) {
      expect(meant.some((name) => name === key || name.startsWith(`${key}.`))).toBe(true);
    }
  });
});
