// What a failed step of the native build means and what to do about it: the programs' own messages
// are long, and the reason is rarely in their last line.

import type { CommandError } from './run.ts';

const unreachable =
  /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ECONNRESET|NewConnectionError|ConnectTimeoutError|Temporary failure|No matching distribution|Could not find a version/i;

function explain(error: unknown, what: string, advice: string): never {
  const { output, message } = error as CommandError;
  const last = (output ?? '').trimEnd().split('\n').slice(-12).join('\n');
  throw new Error(`${what} (${message}). ${advice}${last === '' ? '' : `\n\n${last}`}`);
}

/** npm: not there, no network, or a lock file that does not fit. */
export function npmProblem(error: CommandError): never {
  if (error.missing) explain(error, 'npm cannot be started', 'It comes with Node: install both.');
  const advice = unreachable.test(error.output)
    ? 'The package registry cannot be reached: check network and proxy (npm ping), then run this again.'
    : 'Check that trainer/gpu/package.json and its lock file belong together.';
  return explain(error, 'the npm package cannot be had', advice);
}

/** pip: no Python, no pip, no network, or a file that is not the pinned one. */
export function pipProblem(error: CommandError): never {
  const install = 'Install both, for example: apt-get install python3 python3-pip.';
  if (error.missing) explain(error, 'Python fetches the TensorFlow library', install);
  if (/No module named pip/.test(error.output)) {
    explain(error, 'pip fetches the TensorFlow library and Python has none', install);
  }
  if (/DO NOT MATCH THE HASHES/i.test(error.output)) {
    explain(
      error,
      'the TensorFlow wheel is not the pinned one',
      'Nothing of it was used. If the pin was changed on purpose, correct the sha256 in trainer/gpu/tensorflow-cpu.txt; else do not trust the package index.',
    );
  }
  const advice = unreachable.test(error.output)
    ? 'The Python package index cannot be reached or lacks it: check network, proxy and PIP_INDEX_URL, then run this again.'
    : 'Its own messages follow.';
  return explain(error, 'the TensorFlow wheel cannot be had', advice);
}

/** Unpacking: in practice a full disk. */
export function unpackProblem(error: CommandError): never {
  return explain(error, 'the TensorFlow wheel cannot be unpacked', 'It needs 1.2 GB of free disk.');
}

/** The compiler: missing, or at odds with the headers. */
export function compilerProblem(error: CommandError): never {
  const advice = error.missing
    ? 'Install a C++17 compiler, for example: apt-get install g++.'
    : 'It must know C++17: g++ 9 or newer. Its own messages follow.';
  return explain(error, 'the binding cannot be compiled', advice);
}
