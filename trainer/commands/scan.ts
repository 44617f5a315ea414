// counterweight scan DIR: one NDJSON line per case, measured next to the images.

import { exitCodes } from '../client.ts';
import { scanDataset } from '../scan/scan.ts';
import { openOutput } from './files.ts';
import type { AddCommand, Io } from './io.ts';
import { progress } from './progress.ts';

export const scan: AddCommand = (program, io) => {
  program
    .command('scan <dir>')
    .description('measure the cases of an nnU-Net raw folder, one JSON line each')
    .option('--out <file>', 'write the lines to a file instead of stdout')
    .option('--json', 'lines are JSON anyway; kept so that every command takes it')
    .action(async (dir: string, { out }: { out?: string }) => {
      const { lines, faults } = await scanLines(io, dir, lineWriter(io, out));
      io.say(`${lines} cases measured, ${faults} refused`);
      if (faults > 0) io.exitWith(exitCodes.failed);
    });
};

function lineWriter(
  io: Io,
  out: string | undefined,
): { write: (line: string) => void; end: () => Promise<void> } {
  if (out === undefined) return { write: io.out, end: async () => {} };
  const file = openOutput(out);
  return {
    write: (line) => file.write(`${line}\n`),
    end: () =>
      new Promise((resolve, reject) => {
        file.on('error', reject);
        file.end(resolve);
      }),
  };
}

async function scanLines(
  io: Io,
  dir: string,
  writer: ReturnType<typeof lineWriter>,
): Promise<{ lines: number; faults: number }> {
  const { cases, caseCount } = scanDataset(dir);
  const bar = progress(io, 'scan', caseCount);
  const faults: string[] = [];
  let lines = 0;
  for await (const scanned of cases) {
    if ('line' in scanned) {
      lines++;
      writer.write(JSON.stringify(scanned.line));
    } else {
      faults.push(`${scanned.fault.id}: ${scanned.fault.detail}`);
    }
    bar.update(lines + faults.length);
  }
  bar.stop();
  await writer.end();
  for (const fault of faults) io.say(`refused: ${fault}`);
  return { lines, faults: faults.length };
}
