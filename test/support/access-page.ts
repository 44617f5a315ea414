// The table of access as a page to read: api/http/access.md.

import { roles } from '../../api/contract/tokens.ts';
import { allowed, type Row } from './access-rows.ts';

const head = `# Who may do what

Made from the OpenAPI document and \`test/support/access-rows.ts\`, and compared with what the service
answers, by \`test/routes/access.test.ts\`. To write it again after a change of the rows:

    npx vitest run --config test/vitest.config.ts test/routes/access.test.ts -u

Every request names its token's own workspace and nothing else. The last column is the same request,
with the same ids and names, from another workspace: \`404\` as for what does not exist; _its own_: the
route names nothing, and shows or makes things of the asker's workspace alone; _the same_: it is about
the deployment. Without a token, or with one that is unknown, revoked or expired, the answer is 401
everywhere but at \`/health\`, \`/openapi.json\` and \`/docs\`. A trainer's token is of one attempt of a
job. _deployment_: an admin of the workspace \`default\`; any other admin gets 403.
`;

function cells(row: Row): string[] {
  if (row.may === 'anyone') return [...roles.map(() => 'yes'), 'yes'];
  if (row.may === 'trainer') return [...roles.map(() => '401'), 'yes'];
  const yes = row.may === 'deployment' ? 'deployment' : 'yes';
  const may: readonly string[] = allowed[row.may];
  return [...roles.map((role) => (may.includes(role) ? yes : '403')), '401'];
}

/** The page, a line for each route in the order given. */
export function accessPage(routes: string[], rows: Record<string, Row>): string {
  const lines = routes.map((route) => {
    const elsewhere = rows[route].elsewhere === 'nothing' ? '404' : rows[route].elsewhere;
    return [`\`${route}\``, ...cells(rows[route]), elsewhere];
  });
  const table = [['route', ...roles, 'trainer', 'from elsewhere'], ...lines];
  const widths = table[0].map((_, k) => Math.max(...table.map((line) => line[k].length)));
  const shown = (line: string[]) =>
    `| ${line.map((cell, k) => cell.padEnd(widths[k])).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return `${head}\n${[shown(table[0]), rule, ...table.slice(1).map(shown)].join('\n')}\n`;
}
