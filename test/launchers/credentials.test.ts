// How the secret of a target is read, and that no error repeats it.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import type { ReadCredential } from '../../api/launchers/credentials.ts';
import { engineClient, fetchCarrier } from '../../api/launchers/engine-http.ts';
import { launcherRegistry } from '../../api/launchers/registry.ts';
import { targetOf } from '../support/launch-specs.ts';

const folder = mkdtempSync(join(tmpdir(), 'counterweight-credentials-'));

const slurm = {
  engine: 'slurm',
  address: 'http://127.0.0.1:1',
  outputPath: '/out',
  user: 'lab',
  partition: 'gpu',
  apiVersion: 'v0.0.42',
  container: 'apptainer',
};
const batch = { engine: 'aws-batch', address: 'http://127.0.0.1:1', outputPath: '/out' };
const batchFields = { region: 'eu-central-1', queue: 'gpu', jobDefinitions: {} };

/** What the check of a target says of a credential that is read so. */
async function said(fields: object, read: ReadCredential): Promise<string> {
  const launcherOf = launcherRegistry({ stateDir: folder, readCredential: read });
  const launcher = await launcherOf(targetOf({ name: 'cluster', ...fields }));
  return (await launcher.check()).map(({ detail }) => detail).join(' ');
}

const fromFile: ReadCredential = async (where) =>
  'file' in where ? await readFile(where.file, 'utf8') : Promise.reject(new Error('not set'));

test.each([
  ['missing', null, /does not exist \(ENOENT\); write to it the token of its user/],
  ['empty', ' \n', /is empty; it has to hold the token of its user/],
  ['two lines', 'cw_secret\nmore', /holds a line break or another control character/],
])('a file that is %s is said to be so', async (name, text, sentence) => {
  const file = join(folder, name);
  if (text !== null) writeFileSync(file, text);
  const detail = await said({ ...slurm, credentials: { file } }, fromFile);
  expect(detail).toMatch(sentence);
  expect(detail).toContain(`file ${file}`);
  expect(detail).not.toContain('cw_secret');
});

test.each([
  ['EACCES', /may not be read by the user that runs this \(EACCES\)/],
  ['EISDIR', /cannot be read \(EISDIR\); it has to be a file with the token/],
])('a file that gives %s is said to', async (code, sentence) => {
  const read = () => Promise.reject(Object.assign(new Error(code), { code }));
  expect(await said({ ...slurm, credentials: { file: '/x' } }, read)).toMatch(sentence);
});

test('a variable that is not set is said to be so', async () => {
  const detail = await said({ ...slurm, credentials: { env: 'TOKEN' } }, fromFile);
  expect(detail).toMatch(/variable TOKEN, .*is not set; set it to the token of its user/);
});

test('keys of AWS as JSON may span lines', async () => {
  const keys = { AccessKeyId: 'AKIDEXAMPLE', SecretAccessKey: 'cw_secret', Version: 1 };
  const read = async () => JSON.stringify({ ...keys, Expiration: '2001-01-01T00:00:00Z' }, null, 2);
  const detail = await said({ ...batch, ...batchFields, credentials: { env: 'KEYS' } }, read);
  expect(detail).toMatch(/expired at 2001/);
});

test('no error of fetch hands on a header that it repeats', async () => {
  const headers = async () => ({ authorization: 'Bearer cw_secret\nmore' });
  const send = engineClient('cluster', fetchCarrier('http://127.0.0.1:1', headers));
  const error = await send({ method: 'GET', path: '/' }).catch((one) => one);
  expect(error).toMatchObject({
    kind: 'unavailable',
    detail: expect.stringContaining('TypeError'),
  });
  expect(error.cause).toMatchObject({ name: 'TypeError', message: 'TypeError' });
  expect(inspect(error, { depth: 9 })).not.toContain('cw_secret');
});
