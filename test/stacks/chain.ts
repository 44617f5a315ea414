// What the steps of the suite share: the stack, the people, and what earlier steps have made.

import type { Role } from '../../api/contract/tokens.ts';
import { type Caller, type Calls, callsOf } from './calls.ts';
import type { Stack } from './stack.ts';

export type Chain = {
  stack: Stack;
  calls: Calls;
  admin: Caller;
  /** A person with a role; made when first asked for. */
  person: (role: Role) => Promise<Caller>;
  /** Digests and ids that earlier steps have made, by name. */
  known: Record<string, string>;
};

/** A sentence, and what has to hold; the steps are taken in their order. */
export type Step = [sentence: string, take: (chain: Chain) => Promise<void>];

export const reason = 'said by the suite';
export const dataset = '/v1/datasets/liver';

export function openChain(stack: Stack): Chain {
  const calls = callsOf(stack);
  const admin = calls.as(stack.adminToken);
  const people = new Map<Role, Promise<Caller>>();
  const made = async (role: Role) => {
    const body = { name: 'suite', actor: `the ${role}`, role };
    return calls.as((await admin.must(201, 'POST', '/v1/tokens', body)).secret);
  };
  return {
    stack,
    calls,
    admin,
    person: async (role) => {
      const person = people.get(role) ?? made(role);
      people.set(role, person);
      return await person;
    },
    known: {},
  };
}
