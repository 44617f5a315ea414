// All rules of the house, in the order in which they are reported.

import { codeRules } from './code.ts';
import { importRules } from './imports.ts';
import { nameRules } from './names.ts';
import type { Rule } from './repository.ts';
import { sizeRules } from './sizes.ts';

export const rules: Rule[] = [...nameRules, ...importRules, ...codeRules, ...sizeRules];
