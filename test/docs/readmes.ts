// What READMEs say about the tree: the list of folders, links, and paths of files.

import type { RepositoryFile } from '../house-rules/repository.ts';

/** Folders down to a depth of two, those whose name starts with a dot aside. */
export function shallowFolders(paths: string[]): string[] {
  const folders = paths.flatMap((path) => {
    const parts = path.split('/').slice(0, -1);
    return [1, 2].filter((depth) => parts.length >= depth).map((depth) => parts.slice(0, depth));
  });
  const shown = folders.filter((parts) => !parts[0].startsWith('.'));
  return [...new Set(shown.map((parts) => parts.join('/')))].sort();
}

/** The folders of the block below "## The tree": two spaces a level, a folder ends in a slash. */
export function treeFolders(readme: string): string[] {
  const block = readme.match(/^## The tree\n[\s\S]*?^```\n([\s\S]*?)^```/m)?.[1] ?? '';
  let top = '';
  return block
    .split('\n')
    .flatMap((line) => {
      const [, indent, name] = line.match(/^( *)([\w.-]+)\//) ?? [];
      if (name === undefined) return [];
      if (indent === '') top = name;
      return [indent === '' ? name : `${top}/${name}`];
    })
    .sort();
}

/** What is in one list alone, said in words. */
export function treeFaults(readme: string, paths: string[]): string[] {
  const [there, listed] = [shallowFolders(paths), treeFolders(readme)];
  return [
    ...there.filter((one) => !listed.includes(one)).map((one) => `${one}/ is not in the tree`),
    ...listed.filter((one) => !there.includes(one)).map((one) => `${one}/ does not exist`),
  ];
}

const ours = /\.(ts|tsx|mjs|py|sql|sh)$/;
const notAPath = /[\s*{}<>()|$:=,'"]|^[/@.]|\.\.\./;

/** Whether a text in backticks claims to be a file or folder of ours. */
function claimsPath(text: string, folders: Set<string>): boolean {
  if (notAPath.test(text)) return false;
  if (ours.test(text)) return true;
  if (!text.includes('/')) return false;
  return text.endsWith('/') || folders.has(text.split('/')[0]);
}

function resolved(folder: string, relative: string): string {
  const parts = folder === '' ? [] : folder.split('/');
  for (const part of relative.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.' && part !== '') parts.push(part);
  }
  return parts.join('/');
}

/** Links and paths in a README that lead nowhere, as `README:line: what`. */
export function deadPaths(readme: RepositoryFile, paths: string[]): string[] {
  const there = new Set(paths.flatMap((path) => prefixesOf(path)));
  const names = new Set(paths.flatMap((path) => path.split('/').at(-1) ?? []));
  const top = new Set(paths.map((path) => path.split('/')[0]));
  const folder = readme.path.split('/').slice(0, -1).join('/');
  const exists = (text: string) =>
    [folder, ''].some((from) => there.has(resolved(from, text.replace(/#.*$/, ''))));
  return readme.text.split('\n').flatMap((line, index) => {
    const links = [...line.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1]);
    const local = links.filter((link) => !/^([a-z]+:|#)/.test(link));
    const quoted = [...line.matchAll(/`([^`]+)`/g)]
      .map((match) => match[1])
      .filter((text) => claimsPath(text, top));
    const documents = [...line.matchAll(/(?<![\w/.-])([A-Z]+\.md)\b/g)]
      .map((match) => match[1])
      .filter((name) => !names.has(name));
    const dead = [...local, ...quoted].filter((text) => !exists(text));
    return [...new Set([...dead, ...documents])].map(
      (text) => `${readme.path}:${index + 1}: ${text}`,
    );
  });
}

function prefixesOf(path: string): string[] {
  const parts = path.split('/');
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}
