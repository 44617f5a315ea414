// The command line. Exit codes: 0 done, 1 failed, 2 usage, 3 refused by the service, 4 metric gate
// not met, 5 timed out.

import { Command, CommanderError } from 'commander';
import { exitCodes, type Failure } from './client.ts';
import { type Io, systemIo } from './commands/io.ts';
import { commands } from './commands/registry.ts';

/** The program with every command added to it. */
export function createProgram(io: Io): Command {
  const program = new Command('counterweight')
    .description('decide, record and prove how training cases are weighted')
    .showHelpAfterError('(--help shows the options)')
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.out(text.trimEnd()),
      writeErr: (text) => io.say(text.trimEnd()),
    });
  for (const add of Object.values(commands)) add(program, io);
  return program;
}

/** Runs one command line; answers the exit code. */
export async function run(args: string[], io: Io): Promise<number> {
  let exitCode = exitCodes.done;
  const program = createProgram({
    ...io,
    exitWith: (code) => {
      exitCode = code;
    },
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError)
      return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
    const { message, exitCode: code, problem } = error as Failure;
    if (args.includes('--json') && problem !== undefined) io.out(JSON.stringify({ problem }));
    io.say(message);
    return code ?? exitCodes.failed;
  }
}

if (import.meta.filename === process.argv[1] || process.argv[1]?.endsWith('counterweight.mjs')) {
  // A reader that has seen enough, as `| head`, is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitCodes.done);
    throw error;
  });
  process.exitCode = await run(process.argv.slice(2), systemIo);
}
