// The rights that the files of infra/kubernetes/ grant, as the fake API server checks them.

import { readFileSync } from 'node:fs';

const listOf = (text: string) => text.split(',').map((one) => one.trim().replaceAll('"', ''));

/** `verb group/resource` of every rule in a file; a rule stands on one line there. */
export function rightsIn(file: string): string[] {
  const text = readFileSync(file, 'utf8');
  const rules = text.matchAll(
    /- \{ apiGroups: \[(.*?)\], resources: \[(.*?)\], verbs: \[(.*?)\] \}/g,
  );
  return [...rules].flatMap(([, groups, resources, verbs]) =>
    listOf(groups).flatMap((group) =>
      listOf(resources).flatMap((resource) =>
        listOf(verbs).map((verb) => `${verb} ${group}/${resource}`),
      ),
    ),
  );
}
