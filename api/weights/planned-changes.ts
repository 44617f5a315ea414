// What will become of the draws during a run (METHOD.md section 8), told before anything is stored.

import type { AttributeMap } from '../contract/attributes.ts';
import type { RuleDocument } from '../contract/rule-sets.ts';
import { readsOf } from './rules.ts';

/** A sentence for each way in which rules change the draws of a running job; none: they stay. */
export function plannedChanges(rules: RuleDocument, attributes: AttributeMap): string[] {
  const { schedule, adaptive } = rules;
  const changes: string[] = [];
  if (schedule !== null) changes.push(rampSentence(rules, schedule));
  if (adaptive !== null) changes.push(adaptiveSentence(rules, adaptive, attributes));
  return changes;
}

type Ramp = NonNullable<RuleDocument['schedule']>;

function rampSentence({ sampling }: RuleDocument, { epochs, stages }: Ramp): string {
  // Stages beyond one in an epoch are never drawn by.
  const steps = Math.min(stages, epochs);
  const nothing =
    sampling.terms.length === 0 ? ' Without sampling terms that changes nothing.' : '';
  return `A ramp: epoch 0 is drawn by the target, and in ${counted(steps, 'step')} the draws come to those of the sampling terms, which hold from epoch ${epochs} on.${nothing}`;
}

function adaptiveSentence(
  rules: RuleDocument,
  { everyEpochs, attribute, minEvidence, maxShift }: NonNullable<RuleDocument['adaptive']>,
  attributes: AttributeMap,
): string {
  const first = (rules.schedule?.epochs ?? 0) + everyEpochs;
  const every = everyEpochs === 1 ? 'every epoch' : `every ${everyEpochs} epochs`;
  const isRead = readsOf(rules, attributes).some(
    ({ pointer, names }) => pointer.startsWith('/sampling/') && names.has(attribute),
  );
  const effect = isRead
    ? `Until then, terms that read it have factor 1 for a case without a value.`
    : `No sampling term reads it, so that changes nothing: add a difficulty term with this attribute and measure loss.`;
  return `Adaptive: from epoch ${first} on, ${every}, "${attribute}" becomes what the run has seen of a case's loss (of cases seen in ${counted(minEvidence, 'draw')} or more; the others take their mean), and the draws move towards what the terms then give, each time by a total variation of ${maxShift} at most. ${effect}`;
}

const counted = (count: number, what: string) => `${count} ${what}${count === 1 ? '' : 's'}`;
