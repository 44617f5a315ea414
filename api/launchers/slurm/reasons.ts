// Why a job waits in Slurm's queue, in words that somebody can act on.

import type { SlurmJob } from './dialects.ts';

const held = (who: string) => `held in Slurm by ${who}: scontrol release JOB lets it go`;
const limit = (what: string) => `waits for ${what}, until other jobs have ended`;
const never = (what: string) => `will never start as it is: ${what}`;

const reasons: Record<string, string> = {
  None: 'waits for the scheduler',
  Priority: 'waits for jobs that go before it',
  Resources: 'waits for free nodes, CPUs, memory or GPUs',
  BeginTime: 'waits for the time from which it may start',
  Dependency: 'waits for another job',
  DependencyNeverSatisfied: never('it waits for a job that failed'),
  Licenses: 'waits for a licence',
  JobHeldUser: held('its user'),
  JobHeldAdmin: held('an administrator'),
  JobHoldMaxRequeue: held('Slurm, after too many restarts'),
  PartitionDown: 'its partition is down; ask the administrators',
  PartitionInactive: 'its partition takes no jobs now; ask the administrators',
  PartitionConfig: never('it asks for more than its partition allows (CPUs, nodes or time)'),
  PartitionNodeLimit: never('it asks for more nodes than its partition allows'),
  PartitionTimeLimit: never('resources.timeoutSeconds is over the limit of its partition'),
  ReqNodeNotAvail: 'the nodes that could run it are down, drained or reserved',
  Reservation: 'waits for its reservation to begin',
  ReservationDeleted: never('its reservation is gone'),
  BadConstraints: never('no node has what it asks for'),
  InvalidAccount: never('its account is not valid for its user and partition'),
  InvalidQOS: never('its qos is not valid for its account'),
  AccountNotAllowed: never('its account may not use its partition'),
  QOSNotAllowed: never('its qos may not be used in its partition'),
  AssociationJobLimit: limit('the limit of jobs of its account or user'),
  AssociationResourceLimit: limit('the limit of resources of its account or user'),
  AssociationTimeLimit: never('its account or user may not run that long'),
  QOSJobLimit: limit('the limit of jobs of its qos'),
  QOSResourceLimit: limit('the limit of resources of its qos'),
  QOSTimeLimit: never('its qos may not run that long'),
  QOSUsageThreshold: 'its qos has used more than its share',
  Prolog: 'its node is being prepared',
  Cleaning: 'its node is being cleaned up after another job',
  FrontEndDown: 'a front end of the cluster is down; ask the administrators',
  NodeDown: 'its node is down',
};

// QOSMaxGRESPerUser, AssocGrpCpuLimit and many more: whose limit, and of what.
const limits = /^(QOS|Assoc|MaxJobs|MaxCpu|MaxMem|MaxNode|Grp)/;

/** Why a job is still in the queue. */
export function waitingFor({ id, reason, description }: SlurmJob): string {
  const name = reason.split(/[,\s]/)[0] || 'None';
  const known = reasons[name];
  const words = known ?? (limits.test(name) ? limit('a limit of its qos, account or user') : null);
  // Some reasons come with more words, and some of those repeat the reason.
  const said = [known === undefined ? reason : name, description].filter((part, at, all) => {
    const isRepeated = at === 0 && all[1].startsWith(part);
    return part !== '' && part !== 'None' && !isRepeated;
  });
  const why = said.length === 0 ? '' : ` (${said.join('; ')})`;
  return `${(words ?? 'waits in the queue').replaceAll('JOB', String(id))}${why}`;
}
