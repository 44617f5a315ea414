// A process beside this one that answers each line with a line of JSON, so that ours and a peer can
// be measured in turns.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export type Peer = {
  /** Null once the process has ended, or where it could not start. */
  ask: <Answer>(question: unknown) => Promise<Answer | null>;
  end: () => void;
};

/** Starts a command; what it prints that is not JSON is passed over. */
export function startPeer(command: string, args: string[]): Peer {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const output = createInterface({ input: child.stdout });
  const lines = output[Symbol.asyncIterator]();
  // A process that could not start answers no line.
  child.on('error', () => output.close());
  child.stdin.on('error', () => output.close());
  return {
    ask: async <Answer>(question: unknown): Promise<Answer | null> => {
      child.stdin.write(`${JSON.stringify(question)}\n`);
      for (;;) {
        const { value, done } = await lines.next();
        if (done) return null;
        if (value.startsWith('{')) return JSON.parse(value) as Answer;
      }
    },
    end: () => child.stdin.end(),
  };
}
