// The real nnU-Net for tests: the environment that infra/node/nnunet.ts installs, and checks in
// Python that run in one process for each module.

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** Python with nnU-Net and the adapter, or null where `npm run test:nnunet` has not found one. */
export const nnunetPython = process.env.CW_NNUNET_PYTHON ?? null;

const checksFolder = fileURLToPath(new URL('../trainer/nnunet/checks', import.meta.url));

type Answer = { ok: true; found: unknown } | { ok: false; error: string };

/** Functions of a Python module beside the tests; each throws with Python's own words. */
export function pythonChecks(module: string, environment: Record<string, string> = {}) {
  let child: ChildProcess | null = null;
  let lines: Interface;
  const errors: string[] = [];
  const start = () => {
    child = spawn(nnunetPython as string, ['serve.py', module], {
      cwd: checksFolder,
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', ...environment },
    });
    createInterface({ input: child.stderr! }).on('line', (line) => errors.push(line));
    lines = createInterface({ input: child.stdout! });
    return child;
  };
  return {
    /** Runs one function; answers what it returns. */
    run: async (name: string): Promise<unknown> => {
      const { stdin } = child ?? start();
      const answered = new Promise<Answer>((resolve, reject) => {
        lines.once('line', (line) => resolve(JSON.parse(line)));
        lines.once('close', () => reject(new Error(errors.slice(-20).join('\n'))));
      });
      stdin!.write(`${name}\n`);
      const answer = await answered;
      if (!answer.ok) throw new Error(answer.error);
      return answer.found;
    },
    close: () => child?.stdin?.end(),
  };
}
