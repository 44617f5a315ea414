// Waiting for real processes: until a condition holds, within a bound.

import { setTimeout as sleep } from 'node:timers/promises';

export const pause = async (seconds: number): Promise<void> => {
  await sleep(seconds * 1000);
};

/** Asks until there is an answer; throws what `late` says where none comes in time. */
export async function until<Answer>(
  ask: () => Promise<Answer | false> | Answer | false,
  { seconds, late }: { seconds: number; late: () => string },
): Promise<Answer> {
  for (const deadline = Date.now() + seconds * 1000; ; ) {
    const answer = await ask();
    if (answer !== false) return answer;
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${late()}`);
    await sleep(200);
  }
}
