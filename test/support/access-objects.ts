// Two workspaces of one deployment with tokens of every role, and in the first one of everything
// that a path can name. All that it is called by has a mark in it.

import { launchTargetsSchema } from '../../api/contract/targets.ts';
import { type Role, roles } from '../../api/contract/tokens.ts';
import { createAgentLauncher } from '../../api/launchers/agent.ts';
import { auditKeyOf } from '../../api/services/audit/signing.ts';
import { reconcileJobs } from '../../api/services/jobs/reconcile.ts';
import type { Named } from './access-rows.ts';
import { openTestApp, type Sending, sendingOf, type TestApp } from './app.ts';
import { committedDataset, must, rules } from './builders.ts';
import { createFakeLauncher, type FakeLauncher } from './fake-launcher.ts';
import { policyBody } from './github.ts';
import { jobSeed, jobSettings } from './jobs.ts';
import { webhooksSending } from './webhooks.ts';

/** In every name and text in workspace A, and in nothing of anybody else. */
export const mark = 'aonly';

/** Somebody who asks: with a token of a role in a workspace, a trainer's, or one that is none. */
export type Asker = Sending & {
  called: string;
  workspace: 'a' | 'b' | 'default' | 'none';
  role: Role | 'trainer' | 'none';
};

export type Teams = {
  api: TestApp;
  askers: Asker[];
  /** Names of the things of workspace A, then ids of the same. */
  forms: Named[];
  /** Texts that nobody in another workspace may see. */
  secrets: string[];
};

type Workspace = TestApp & { workspaceId: string };
type Team = Record<Role, Sending>;

const key = 'MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g';

async function openDeployment(launcher: FakeLauncher): Promise<TestApp> {
  const dataPaths = { [`${mark}-phantom`]: '/images' };
  const targets = launchTargetsSchema.parse([
    { name: `${mark}-local`, engine: 'local', workspaces: ['team-a'], dataPaths },
    { name: 'local', engine: 'local', dataPaths: { phantom: '/images' } },
    { name: 'cluster', engine: 'agent' },
  ]);
  const api = await openTestApp({ launcher, targets });
  api.deps.auditKey = await auditKeyOf(key);
  const heard = { status: 200, retryAfter: null, text: '' };
  api.deps.webhooks = await webhooksSending(async () => heard);
  api.deps.launcherOf = async (target) =>
    target.engine === 'agent' ? createAgentLauncher(target) : launcher;
  return api;
}

async function teamOf(workspace: Workspace, called: string): Promise<Team> {
  const made = roles.map(async (role) => [role, await workspace.as(`${called}-${role}`, role)]);
  return Object.fromEntries(await Promise.all(made)) as Team;
}

async function launched(by: Sending, body: object, status = 201): Promise<string> {
  const asked = { seed: jobSeed, settings: jobSettings, ...body };
  return (await must(by, status, 'POST', '/v1/jobs', asked)).id;
}

/** A snapshot of the workspace, frozen by its editor, under a withdrawal. */
async function frozen(team: Team, name: string): Promise<{ id: string; digest: string }> {
  const reason = `${name}: made`;
  await committedDataset(team.editor, { name });
  const path = `/v1/datasets/${name}`;
  await must(team.editor, 201, 'POST', `${path}/versions`, { reason });
  await must(team.editor, 201, 'POST', `${path}/withdrawals`, { caseId: 'case_0007', reason });
  const ruleSet = { name: `${name}-rare`, rules, reason };
  await must(team.editor, 201, 'POST', `${path}/rule-sets`, ruleSet);
  const fold = { version: 1, split: 'five-fold', fold: 0 };
  const asked = { ...fold, ruleSet: `${ruleSet.name}@1`, reason };
  return await must(team.editor, 201, 'POST', `${path}/snapshots`, asked);
}

/** The token of a job's trainer on the engine. */
const trainerOf = ({ launches }: FakeLauncher, job: string) =>
  launches.get(`cw-${job}-1`)?.token as string;

/** Who is told and trusted: webhooks with a delivery, and a policy of GitHub. */
async function toldThings(a: Workspace, dataset: string) {
  const reason = `${mark}: told`;
  const asked = { url: `https://${mark}.example.org/`, events: ['alias.moved'], reason };
  const webhook = await must(a, 201, 'POST', '/v1/webhooks', asked);
  const oldWebhook = await must(a, 201, 'POST', '/v1/webhooks', asked);
  const delivery = await must(a, 200, 'POST', `/v1/webhooks/${webhook.id}/test`);
  const policy = await must(a, 201, 'POST', '/v1/github/policies', {
    ...policyBody,
    dataset,
    reason,
  });
  return {
    policy: policy.id,
    webhook: webhook.id,
    oldWebhook: oldWebhook.id,
    delivery: delivery.id,
  };
}

async function fill(api: TestApp, { a, team }: { a: Workspace; team: Team }, engine: FakeLauncher) {
  const name = `${mark}-phantom`;
  const reason = `${mark}: used`;
  const snapshot = await frozen(team, name);
  const approvals = `/v1/snapshots/${snapshot.id}/approvals`;
  const approved = { meaning: 'use', reason };
  const approval = await must(team.approver, 201, 'POST', approvals, approved);
  await must(team.approver, 200, 'POST', `${approvals}/${approval.id}/revoke`, { reason });
  const alias = { snapshots: { 0: snapshot.digest }, reason };
  await must(team.editor, 201, 'PUT', `/v1/datasets/${name}/aliases/${mark}-best`, alias);
  const target = `${mark}-local`;
  const asked = { snapshot: snapshot.digest, target, reason };
  const running = await launched(team.launcher, asked);
  const cancelled = await launched(team.launcher, asked);
  await must(team.launcher, 200, 'POST', `/v1/jobs/${cancelled}/cancel`, { reason });
  engine.observe(`cw-${cancelled}-1`, { state: 'cancelled' });
  await reconcileJobs(api.deps);
  const waiting = await launched(team.launcher, { ...asked, target: 'cluster' }, 202);
  const revoked = await a.as(`${mark}-gone`, 'admin');
  await must(a, 200, 'DELETE', `/v1/tokens/${revoked.tokenId}`);
  const { id: datasetId } = await must(a, 200, 'GET', `/v1/datasets/${name}`);
  const told = await toldThings(a, name);
  const named: Named = {
    dataset: name,
    snapshot: snapshot.digest,
    ruleSet: `${name}-rare@1`,
    alias: `${mark}-best`,
    approval: approval.id,
    cancelled,
    running,
    attempt: `cw-${waiting}-1`,
    target,
    token: revoked.tokenId,
    ...told,
  };
  const byId = { ...named, dataset: datasetId, snapshot: snapshot.id };
  const byAlias = { ...named, snapshot: `${name}@${mark}-best:0` };
  const forms = [named, byId, byAlias];
  const secrets = [mark, waiting, ...forms.flatMap((form) => Object.values(form))];
  return { forms, secrets: [...new Set(secrets)], running, revoked };
}

/** Workspaces A and B, and everybody who asks in the table of access. */
export async function openTeams(): Promise<Teams> {
  const engine = createFakeLauncher();
  const api = await openDeployment(engine);
  const a = await api.inWorkspace('team-a', 'first');
  const b = await api.inWorkspace('team-b', 'first');
  const team = await teamOf(a, mark);
  const others = await teamOf(b, 'b');
  const { forms, secrets, running, revoked } = await fill(api, { a, team }, engine);
  const soon = new Date(api.deps.now().getTime() + 1000).toISOString();
  const brief = { name: 'brief', actor: 'eve', role: 'admin', expiresAt: soon };
  const expired = (await must(a, 201, 'POST', '/v1/tokens', brief)).secret;
  api.moveClock(1000);
  const { digest: snapshot } = await frozen(others, 'phantom');
  const foreign = await launched(others.launcher, { snapshot, target: 'local', reason: 'b' });
  const trainer = (of: string) => sendingOf(api.app, trainerOf(engine, of));
  const nobody = (called: string, token: string): Asker => ({
    ...sendingOf(api.app, token),
    called,
    workspace: 'none',
    role: 'none',
  });
  const askers: Asker[] = [
    nobody('no token', ''),
    nobody('an unknown token', 'cw_guessed'),
    nobody('a revoked token', revoked.token),
    nobody('an expired token', expired),
    { ...trainer(running), called: 'a trainer', workspace: 'a', role: 'trainer' },
    { ...trainer(foreign), called: 'a trainer elsewhere', workspace: 'b', role: 'trainer' },
    ...roles.map((role): Asker => ({ ...team[role], called: role, workspace: 'a', role })),
    ...roles.map((role): Asker => {
      return { ...others[role], called: `${role} elsewhere`, workspace: 'b', role };
    }),
    { ...api, called: 'the admin of the deployment', workspace: 'default', role: 'admin' },
  ];
  return { api, askers, forms, secrets };
}
