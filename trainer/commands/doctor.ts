// counterweight doctor: what works here, in one page.

import { exitCodes, type Failure } from '../client.ts';
import { type AddCommand, clientOf, type ServiceOptions, withService } from './io.ts';

type Finding = { what: string; ok: boolean; detail: string };

export const doctor: AddCommand = (program, io) => {
  withService(program.command('doctor'))
    .description('check node, the TensorFlow.js backend, the service and the token')
    .action(async (options: ServiceOptions) => {
      const client = clientOf(io, options);
      const findings = [
        await found(
          'node',
          async () => `${process.version} on ${process.platform} ${process.arch}`,
        ),
        await found('backend', async () => {
          // TensorFlow.js takes a second to load; no other command needs it.
          const { chooseBackend } = await import('../tensorflow/backend.ts');
          const { name, reason, device } = await chooseBackend({ wanted: 'auto', log: () => {} });
          return `${name} on ${device}: ${reason}`;
        }),
        await found('service', async () => {
          const { version, database } = await client.call<{ version: string; database: string }>(
            'GET',
            '/health',
          );
          return `${client.api}, version ${version}, database ${database}`;
        }),
        await found('token', async () => {
          const { items } = await client.call<{ items: unknown[] }>('GET', '/v1/targets');
          return `accepted; ${items.length} launch targets`;
        }),
      ];
      if (options.json) io.out(JSON.stringify(findings));
      else
        for (const { what, ok, detail } of findings)
          io.out(`${ok ? 'ok  ' : 'FAIL'} ${what}: ${detail}`);
      if (findings.some(({ ok }) => !ok)) io.exitWith(exitCodes.failed);
    });
};

async function found(what: string, ask: () => Promise<string>): Promise<Finding> {
  try {
    return { what, ok: true, detail: await ask() };
  } catch (error) {
    return { what, ok: false, detail: (error as Failure).message };
  }
}
