// JSON as Python's json module writes it: with the bare words NaN, Infinity and -Infinity, which no
// strict parser takes. nnU-Net's summary.json is such a file.

import { ProblemError } from '../errors.ts';

const words: Record<string, string> = {
  NaN: 'null',
  Infinity: '1e999',
  '-Infinity': '-1e999',
};

/**
 * The value of a JSON text; outside of strings NaN is read as null and an infinity as itself.
 * Throws `invalid-request` where the text is no JSON beside that.
 */
export function pythonJson(text: string): unknown {
  try {
    return JSON.parse(strictJson(text));
  } catch (cause) {
    throw new ProblemError(
      'invalid-request',
      `The body is not valid JSON (${(cause as Error).message}). Send the file as it is.`,
      { cause },
    );
  }
}

// Between two quotes that no backslash escapes stands a string; the words are replaced elsewhere.
function strictJson(text: string): string {
  let strict = '';
  let from = 0;
  while (true) {
    const open = text.indexOf('"', from);
    const between = open < 0 ? text.slice(from) : text.slice(from, open);
    strict += between.replaceAll(/(?<!\w)(?:NaN|-?Infinity)(?!\w)/g, (word) => words[word]);
    if (open < 0) return strict;
    from = stringEnd(text, open);
    strict += text.slice(open, from);
  }
}

function stringEnd(text: string, open: number): number {
  for (let k = open + 1; k < text.length; k++) {
    if (text[k] === '\\') k++;
    else if (text[k] === '"') return k + 1;
  }
  return text.length;
}
