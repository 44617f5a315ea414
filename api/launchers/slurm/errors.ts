// What Slurm refuses a job for, by the number of the error: its HTTP status says nothing.

import { ProblemError } from '../../errors.ts';
import { faultText, type SlurmFault, unanswered } from './api.ts';

/** Numbers that are no last word on a job: Slurm may take the same one later. */
const later: Record<number, string> = {
  2007: 'it could not make a record of the job',
  2016: 'its nodes are busy',
  2019: 'it could not write the script to its disk',
  2026: 'it could not make a credential',
  2027: 'its backup controller does not serve yet',
  2050: 'a limit of the account, user or qos is reached: of jobs submitted at once (it is submitted when there is room), or of what one job may ask (then ask for less)',
  2061: 'a prolog still runs',
  2068: 'the nodes that could run it are down, drained or reserved',
  2070: 'its partition takes no jobs now',
  2074: 'the account has used its share',
  2090: 'it has an internal error',
  2100: 'it waits for a burst buffer',
  2101: 'its partition is down',
  2103: 'it is not ready yet',
  2105: 'submissions are switched off',
  2131: 'its controller is in standby',
};

/** The field of the request that a number is about, and what to do. */
const refused: Record<number, [pointer: string, hint: string]> = {
  2000: ['/target', 'there is no such partition; mend "partition" of the target'],
  2001: ['/target', 'there is no such partition; mend "partition" of the target'],
  2002: ['/target', 'the user may not do this; ask the administrators'],
  2003: ['/target', 'the user is in no group that may use the partition'],
  2005: ['/resources/cpus', 'ask for fewer CPUs'],
  2014: ['/resources', 'no node could ever give that; ask for less, or for another gpus.type'],
  2029: ['/target', 'no node has the "constraint" of the target'],
  2044: ['/resources/memoryMiB', 'ask for less memory'],
  2045: ['/target', 'mend "account" of the target, or its "partition"'],
  2051: ['/resources/timeoutSeconds', 'the partition does not allow that long; ask for less'],
  2052: ['/target', 'the user may not use the "reservation" of the target'],
  2053: ['/target', 'there is no such "reservation"; mend the target'],
  2066: ['/target', 'there is no such "qos", or not for this account; mend the target'],
  2072: ['/resources/gpus', 'Slurm does not know such a GPU; see "gpuNames" of the target'],
  2115: ['/resources/gpus', 'Slurm does not know such a GPU; see "gpuNames" of the target'],
  2119: ['/resources/gpus', 'Slurm does not know such a GPU; see "gpuNames" of the target'],
  9001: ['/target', 'slurmrestd does not read the request; mend "apiVersion" of the target'],
};

/** Slurm's words about jobs, slurmrestd's about requests; all others are about themselves. */
const isRefusal = (number: number | null) =>
  number !== null && ((number >= 2000 && number < 3000) || (number >= 9000 && number < 9100));

/**
 * What is thrown where a job was not taken: `unprocessable` for what will never be, and
 * `launcher-failed` for what may be another time.
 */
export function submitProblem(
  targetName: string,
  faults: SlurmFault[],
  { asks, secret }: { asks: string; secret: string },
): ProblemError {
  const numbers = faults.map(({ number }) => number);
  const waits = numbers.find((number) => number !== null && number in later);
  const said = faultText(faults, secret);
  if (waits !== undefined && waits !== null) {
    const detail = `Target "${targetName}": Slurm does not take the job now, ${later[waits]} (${said}).`;
    return new ProblemError('launcher-failed', detail);
  }
  const number = numbers.find(isRefusal);
  if (number === undefined || number === null) return unanswered(targetName, faults);
  const [pointer, hint] = refused[number] ?? ['/target', 'see the words of Slurm'];
  return new ProblemError(
    'unprocessable',
    `Target "${targetName}": Slurm refuses ${asks}: ${hint} (${said}).`,
    { errors: [{ pointer, detail: hint }] },
  );
}
