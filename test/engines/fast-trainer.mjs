// A trainer that trains nothing and speaks the protocol as a real one: plain JavaScript, so that
// hundreds stand in a moment. It notes in a file that it was started, reports until the gate is
// there, finishes; a revoked attempt exits with 3.

import { appendFileSync, existsSync } from 'node:fs';

const { CW_API, CW_JOB, CW_TOKEN, TRAINER_NOTES, TRAINER_GATE, TRAINER_PAUSE_MS } = process.env;

// One write of a short line is whole also where hundreds append.
const note = (line) =>
  appendFileSync(TRAINER_NOTES, `${JSON.stringify({ job: CW_JOB, pid: process.pid, ...line })}\n`);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function ask(path, body) {
  const init = {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${CW_TOKEN}`, 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  };
  for (let tries = 0; ; tries += 1) {
    try {
      const answer = await fetch(`${CW_API}/v1/trainer/${path}`, init);
      const text = await answer.text();
      if (answer.ok) return JSON.parse(text);
      if (answer.status < 500) refused(path, answer.status, text);
    } catch {
      // Away: asked again below.
    }
    await sleep(Math.min(5_000, 500 * 2 ** tries) * (0.5 + Math.random() / 2));
  }
}

function refused(path, status, text) {
  note({ refused: `${path}: ${status} ${text.slice(0, 300)}` });
  process.exit(status === 409 ? 3 : 64);
}

note({ started: true });
const { attempt, nextSequence = 0 } = await ask('job');
let sequence = nextSequence;
for (let last = false; !last; sequence += 1) {
  last = existsSync(TRAINER_GATE);
  const metrics = [{ name: 'loss', value: 1 / (1 + sequence), step: sequence }];
  const progress = { step: sequence + 1, steps: sequence + 2 };
  const { stop } = await ask('reports', { sequence, metrics, progress });
  if (stop) break;
  if (!last) await sleep(Number(TRAINER_PAUSE_MS) * (0.5 + Math.random()));
}
await ask('finish', { outcome: 'succeeded', summary: { steps: sequence } });
note({ finished: true, attempt, reports: sequence });
