// Two rule documents as texts, and the unified diff of the texts.

import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';
import { type RuleDocument, ruleDocumentSchema } from '../../contract/rule-sets.ts';

/** A rule document as indented JSON with its keys in the order of the schema. */
export function rulesText(rules: RuleDocument): string {
  // The database keeps no order of keys; the schema gives them the order in which people write. A
  // document that an older schema let through is shown as it is.
  const parsed = ruleDocumentSchema.safeParse(rules);
  return `${JSON.stringify(parsed.success ? parsed.data : rules, null, 2)}\n`;
}

/** The unified diff of two rule documents, names in its head; empty where they say the same. */
export function rulesDiff(
  from: { name: string; rules: RuleDocument },
  to: { name: string; rules: RuleDocument },
): string {
  const [before, after] = [rulesText(from.rules), rulesText(to.rules)];
  if (before === after) return '';
  const options = { context: 3, headerOptions: FILE_HEADERS_ONLY };
  return createTwoFilesPatch(from.name, to.name, before, after, undefined, undefined, options);
}
