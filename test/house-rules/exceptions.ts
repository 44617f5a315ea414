// Where a rule would make the code worse, and why. A ratchet: an exception that nothing needs any
// more fails the test, and a size exception names the size it allows.

import type { Exception } from './repository.ts';

export const exceptions: Exception[] = [
  {
    rule: 'no default exports',
    path: 'api/worker.ts',
    reason: 'workerd takes the default export of its entry',
  },
  {
    rule: 'no default exports',
    path: 'test/vitest.config.ts',
    reason: 'vitest takes the default export of its configuration',
  },
  {
    rule: 'no classes',
    path: 'trainer/settings.ts',
    about: 'TrainerError',
    reason: "the trainer may not import the service's errors; its one error carries an exit code",
  },
  {
    rule: 'no test sleeps',
    path: 'test/end-to-end/chain.test.ts',
    reason: 'real processes are polled until a condition holds, with a deadline; no wait is fixed',
  },
  {
    rule: 'no test sleeps',
    path: 'test/trainer/nnunet/jobs.test.ts',
    reason: 'real processes are polled until a condition holds, with a deadline; no wait is fixed',
  },
  {
    rule: 'no test sleeps',
    path: 'test/bench/measured-service.ts',
    reason: 'the client is given its pause between retries; nothing here is a test',
  },
  {
    rule: 'every folder has a README',
    path: 'trainer/README.md',
    upTo: 160,
    about: 'more than a page',
    reason: 'settings, environment, metrics, exit codes and experiments are one reference',
  },
  {
    rule: 'no test sleeps',
    path: 'test/launchers/contract.ts',
    reason: 'real processes are polled until a condition holds, a bounded number of times',
  },
  {
    rule: 'no test sleeps',
    path: 'test/engines/waiting.ts',
    reason: 'real engines are polled until a condition holds, within a bound; one is away for 30 s',
  },
  {
    rule: 'no test sleeps',
    path: 'test/engines/mischief.mjs',
    reason: 'runs inside a real trainer that has to be silent for a while, and tests nothing',
  },
  {
    rule: 'no test sleeps',
    path: 'test/engines/many-jobs.test.ts',
    reason: 'a process is killed at a random moment: that moment is what is tested',
  },
  {
    rule: 'no test sleeps',
    path: 'test/engines/fast-trainer.mjs',
    reason: 'a trainer, not a test: it pauses between reports and while the service is away',
  },
  {
    rule: 'no test sleeps',
    path: 'test/support/many-jobs.ts',
    reason: 'clients of a service that is away ask again, with a deadline; no wait is fixed',
  },
  {
    rule: 'no test sleeps',
    path: 'test/bench/mlflow.ts',
    reason:
      'a server that starts is polled until it listens, within a bound; nothing here is a test',
  },
  {
    rule: 'no test sleeps',
    path: 'test/bench/reporting-jobs.ts',
    reason: 'real processes are polled until they stand or have ended; nothing here is a test',
  },
  {
    rule: 'no test sleeps',
    path: 'test/end-to-end/kills.test.ts',
    reason: 'processes are killed at a random moment: that moment is what is tested',
  },
  {
    rule: 'no test sleeps',
    path: 'test/support/mixed-writes.ts',
    reason: 'clients of a service that is away ask again; no wait is fixed',
  },
  {
    rule: 'no test sleeps',
    path: 'test/support/postgres.ts',
    reason: 'a Postgres that was killed is started until it stands, a bounded number of times',
  },
];
