// The texts of rule documents and their unified diff.

import { expect, test } from 'vitest';
import { type RuleDocument, ruleDocumentSchema } from '../../../api/contract/rule-sets.ts';
import { rulesDiff, rulesText } from '../../../api/services/snapshots/rules-diff.ts';

const document = (change: object = {}) => ruleDocumentSchema.parse({ groups: ['site'], ...change });

test('the order of keys makes no difference', () => {
  const one = document();
  const turned = Object.fromEntries(Object.entries(one).reverse()) as RuleDocument;
  expect(rulesText(turned)).toBe(rulesText(one));
  expect(rulesDiff({ name: 'a@1', rules: one }, { name: 'a@2', rules: turned })).toBe('');
});

test('a changed line stands with three lines about it, under both names', () => {
  const changed = document({ correction: { strength: 0.5 } });
  const text = rulesDiff({ name: 'a@1', rules: document() }, { name: 'b@7', rules: changed });
  expect(text).toBe(
    [
      '--- a@1',
      '+++ b@7',
      '@@ -13,7 +13,7 @@',
      '     "cap": 5',
      '   },',
      '   "correction": {',
      '-    "strength": 1',
      '+    "strength": 0.5',
      '   },',
      '   "schedule": null,',
      '   "adaptive": null',
      '',
    ].join('\n'),
  );
});

test('a document that the schema of today does not take is shown as it is', () => {
  const old = { ...document(), retired: 'field' } as RuleDocument;
  expect(rulesText(old)).toContain('"retired": "field"');
});
