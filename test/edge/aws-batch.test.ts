// The AWS Batch launcher inside workerd: it signs and sends there as on Node.

import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { Miniflare } from 'miniflare';
import { expect, test } from 'vitest';
import { awsTarget, fakeCredential, startFakeAwsBatch } from '../support/fake-aws-batch.ts';
import { specOf } from '../support/launch-specs.ts';

const worker = `
  import { createAwsBatchLauncher } from './aws-batch/aws-batch.ts';
  export default {
    fetch: async (request) => {
      const { target, spec, credential } = await request.json();
      const launcher = createAwsBatchLauncher(target, { credential: async () => credential });
      const handle = await launcher.submit(launcher.prepare(spec), 'cw_secret');
      const told = await launcher.poll([handle]);
      const faults = (await launcher.check()).filter(({ severity }) => severity !== 'ok');
      return Response.json({ handle, told: [...told.values()], faults });
    },
  };`;

test('a job is submitted, polled and its target checked inside workerd', async () => {
  const engine = await startFakeAwsBatch();
  const bundled = await build({
    stdin: {
      contents: worker,
      resolveDir: fileURLToPath(new URL('../../api/launchers', import.meta.url)),
      loader: 'ts',
    },
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
  });
  const script = bundled.outputFiles[0].text;
  const miniflare = new Miniflare({ modules: true, script, compatibilityDate: '2026-04-01' });
  const target = awsTarget(engine);
  const body = JSON.stringify({ target, spec: specOf(target), credential: fakeCredential });
  const response = await miniflare.dispatchFetch('http://worker/', { method: 'POST', body });
  const said = await response.json();
  await miniflare.dispose();
  await engine.stop();
  const [{ jobId, jobName }] = engine.jobs;
  expect(said).toEqual({
    handle: { launchKey: jobName, awsJobId: jobId },
    told: [{ state: 'queued' }],
    faults: [],
  });
});
