// Reads the Dockerfile beside it: stages and their instructions, as far as it uses the language.

export type Instruction = { keyword: string; text: string; line: number };
export type Stage = { name: string; from: string; instructions: Instruction[] };
export type Dockerfile = { args: Record<string, string>; stages: Stage[] };

/** Stages in their order. `args` are those above the first stage, with their defaults. */
export function readDockerfile(text: string): Dockerfile {
  const args: Record<string, string> = {};
  const stages: Stage[] = [];
  for (const instruction of instructionsOf(text)) {
    const { keyword, text: rest, line } = instruction;
    if (keyword === 'FROM') {
      const [, image, name] = /^(\S+)(?:\s+AS\s+(\S+))?$/i.exec(rest) ?? [];
      if (image === undefined) throw new Error(`line ${line}: FROM is not understood: ${rest}`);
      stages.push({ name: name ?? `${stages.length}`, from: fill(image, args), instructions: [] });
    } else if (stages.length > 0) {
      stages.at(-1)!.instructions.push(instruction);
    } else if (keyword === 'ARG') {
      Object.assign(args, pairsOf(rest));
    } else {
      throw new Error(`line ${line}: ${keyword} stands before the first FROM`);
    }
  }
  return { args, stages };
}

/** `NAME=value` pairs of ENV, ARG and LABEL; values may be in double quotes. */
export function pairsOf(text: string): Record<string, string> {
  const pairs = text.matchAll(/([\w.]+)=(?:"([^"]*)"|(\S*))/g);
  return Object.fromEntries([...pairs].map(([, name, quoted, bare]) => [name, quoted ?? bare]));
}

/** `${NAME}` replaced by its value. */
export function fill(text: string, values: Record<string, string>): string {
  return text.replace(/\$\{(\w+)\}/g, (_, name: string) => values[name] ?? '');
}

/** The stage of this name, and before it those that it starts from. */
export function stagesUpTo({ stages }: Dockerfile, name: string): Stage[] {
  const stage = stages.find((one) => one.name === name);
  if (stage === undefined) return [];
  return [...stagesUpTo({ args: {}, stages }, stage.from), stage];
}

function instructionsOf(text: string): Instruction[] {
  const found: Instruction[] = [];
  let open: Instruction | null = null;
  for (const [k, raw] of text.split('\n').entries()) {
    if (/^\s*(#|$)/.test(raw)) continue;
    const part = raw.replace(/\\\s*$/, '').trim();
    if (open === null) {
      const [, keyword, rest] = /^(\w+)\s+(.*)$/.exec(part) ?? [];
      if (keyword === undefined) throw new Error(`line ${k + 1} is no instruction: ${part}`);
      open = { keyword: keyword.toUpperCase(), text: rest, line: k + 1 };
      found.push(open);
    } else {
      open.text = `${open.text} ${part}`;
    }
    if (!/\\\s*$/.test(raw)) open = null;
  }
  return found;
}
