// Small pieces of Markdown. What others wrote (case ids, groups, reasons) is shown, never obeyed.

const special = /[&<>|`*_~[\]()@#\\!]/g;

/** Text of others as text: nothing in it is markup, a mention or a cell border. */
export const shown = (text: string) =>
  text.replace(/\s+/g, ' ').replace(special, (one) => `&#${one.codePointAt(0)};`);

export const code = (text: string) => `<code>${shown(text)}</code>`;

/** A table; cells are Markdown already. */
export function table(heading: string[], rows: string[][]): string[] {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`;
  return [line(heading), line(heading.map(() => '---')), ...rows.map(line), ''];
}

export function folded(title: string, lines: string[]): string[] {
  return ['<details>', `<summary>${title}</summary>`, '', ...lines, '', '</details>', ''];
}

/** A block of code, inside a fence that is longer than any in it. */
export function block(language: string, text: string): string[] {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map((ticks) => ticks.length));
  const fence = '`'.repeat(longest + 1);
  return [`${fence}${language}`, text, fence];
}
