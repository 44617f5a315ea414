// What a step leaves behind: outputs, the summary, one comment, annotations.

import * as core from '@actions/core';
import { problemText } from '../../api/contract/problems.ts';
import { writeComment } from './comment.ts';
import type { RunEvent } from './event.ts';
import type { Failure } from './failure.ts';
import type { Inputs } from './inputs.ts';
import { metricsOf } from './results.ts';
import type { World } from './service.ts';
import { summaryOf, type Told } from './summary.ts';

/** Sets every output that there is something for; a step that fails has them too. */
export function setOutputs({ state, jobs, folds, requests, api }: Told): void {
  core.setOutput('state', state);
  const digests =
    jobs.length > 0
      ? jobs.map(({ snapshot }) => [String(snapshot.fold), snapshot.digest])
      : folds.map(({ fold, snapshot }) => [fold, snapshot.digest]);
  if (digests.length > 0) {
    core.setOutput('snapshot-digest', digests[0][1]);
    core.setOutput('snapshot-digests', Object.fromEntries(digests));
  }
  if (jobs.length > 0) {
    core.setOutput('job-id', jobs[0].id);
    core.setOutput('job-ids', JSON.stringify(jobs.map(({ id }) => id)));
    core.setOutput('job-url', `${api}/v1/jobs/${encodeURIComponent(jobs[0].id)}`);
    core.setOutput('metrics', metricsOf(jobs));
  }
  if (requests.length > 0) {
    const alone = requests.length === 1 && requests[0].fold === null;
    core.setOutput('dry-run-request', alone ? requests[0].request : requests);
  }
}

/** Writes the step's summary, and the comment where one is wanted. */
export async function report(
  world: World,
  inputs: Inputs,
  event: RunEvent,
  told: Told,
): Promise<void> {
  const text = summaryOf(told);
  if (world.env.GITHUB_STEP_SUMMARY) await core.summary.addRaw(text, true).write();
  if (!inputs.comment) return;
  const { pullRequest } = event;
  if (pullRequest === null) {
    return core.notice(
      'pr-comment: this run is of no pull request, so there is none to comment on',
    );
  }
  try {
    const where = await writeComment(world, inputs, { ...event, pullRequest }, text);
    world.log(`comment ${where}`);
  } catch (error) {
    const why = (error as Error).message;
    core.warning(
      `pr-comment: it could not be written (${why}). The job needs "permissions: pull-requests: write", which runs of forks do not have.`,
    );
  }
}

const mostAnnotations = 9; // GitHub shows ten of a step, and the failure itself is one

/** Tells why the step fails: an annotation for every field that was refused, and one for all. */
export function tellFailure({ message, problem, exitCode }: Failure): void {
  for (const { pointer = '', detail } of (problem?.errors ?? []).slice(0, mostAnnotations)) {
    const [, input = ''] = pointer.split('/');
    core.error(detail, { title: input === '' ? 'Refused' : `Input ${input}: ${pointer}` });
  }
  core.setFailed(problem === undefined ? message : problemText(problem));
  process.exitCode = exitCode;
}
