// What rules say of a run before there is one.

import { describe, expect, it } from 'vitest';
import type { AttributeMap } from '../../api/contract/attributes.ts';
import { type RuleDocumentInput, ruleDocumentSchema } from '../../api/contract/rule-sets.ts';
import { plannedChanges } from '../../api/weights/planned-changes.ts';

const attributes: AttributeMap = {
  seenLoss: { type: 'number', required: false },
  noise: { type: 'number', required: true },
};
const hard = { name: 'hard', kind: 'difficulty', attribute: 'seenLoss', measure: 'loss', power: 1 };
const noisy = { name: 'noisy', kind: 'formula', expression: 'case.noise' };
const changesOf = (rules: object) =>
  plannedChanges(ruleDocumentSchema.parse(rules as RuleDocumentInput), attributes);

const adaptive = { everyEpochs: 5, attribute: 'seenLoss', momentum: 0.5, minEvidence: 1 };
const ramp = { kind: 'ramp', epochs: 20 };

describe('planned changes', () => {
  it('are none where the draws stay', () => {
    expect(changesOf({ sampling: { terms: [noisy] } })).toEqual([]);
  });

  it('name the steps and the last epoch of a ramp', () => {
    const [sentence, ...others] = changesOf({ sampling: { terms: [noisy] }, schedule: ramp });
    expect(others).toEqual([]);
    expect(sentence).toBe(
      'A ramp: epoch 0 is drawn by the target, and in 10 steps the draws come to those of the sampling terms, which hold from epoch 20 on.',
    );
    const short = { ...ramp, epochs: 3 };
    expect(changesOf({ schedule: short })[0]).toMatch(
      /in 3 steps .* epoch 3 on\. Without sampling/,
    );
  });

  it('begin with evidence after the ramp, and say how far the draws may move', () => {
    const [, sentence] = changesOf({ sampling: { terms: [hard] }, schedule: ramp, adaptive });
    expect(sentence).toMatch(/^Adaptive: from epoch 25 on, every 5 epochs, "seenLoss" /);
    expect(sentence).toMatch(/seen in 1 draw or more.* total variation of 0\.2 at most\./);
    expect(sentence).toMatch(/have factor 1 for a case without a value\.$/);
  });

  it('say so where no sampling term reads the evidence', () => {
    const [sentence] = changesOf({ sampling: { terms: [noisy] }, adaptive });
    expect(sentence).toMatch(/^Adaptive: from epoch 5 on/);
    expect(sentence).toContain('No sampling term reads it, so that changes nothing');
  });
});
