// The reference page at /docs, made from the OpenAPI document. It loads nothing from elsewhere, so
// it works in a lab without internet.

import { html, raw } from 'hono/html';
import { problemKinds } from '../errors.ts';

type Schema = Record<string, unknown>;
type Operation = {
  summary?: string;
  description?: string;
  tags?: string[];
  parameters?: { name: string; in: string; required?: boolean }[];
  requestBody?: { content?: Record<string, { schema?: Schema }> };
  responses?: Record<string, { description?: string; content?: Record<string, unknown> }>;
};
export type OpenApiDocument = {
  info: { title: string; version: string; description?: string };
  paths?: Record<string, Record<string, Operation>>;
  components?: { schemas?: Record<string, Schema> };
};

const style = `
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
@media (prefers-color-scheme: dark) { body { background: #16181c; color: #e6e6e6; } a { color: #8ab4f8; } }
h2 { border-bottom: 1px solid #8886; margin-top: 2.5rem; }
summary { cursor: pointer; padding: .35rem 0; }
code, pre { font: 14px/1.4 ui-monospace, monospace; }
pre { overflow: auto; padding: .6rem; border: 1px solid #8886; border-radius: 4px; }
.method { display: inline-block; width: 4.2rem; font-weight: 600; text-transform: uppercase; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .15rem .8rem .15rem 0; vertical-align: top; }`;

function operationView(method: string, path: string, operation: Operation) {
  const body = operation.requestBody?.content ?? {};
  const parameters = operation.parameters ?? [];
  return html`<details id="${method}-${path}">
    <summary><span class="method">${method}</span> <code>${path}</code> — ${operation.summary ?? ''}</summary>
    ${operation.description === undefined ? '' : html`<p>${operation.description}</p>`}
    ${
      parameters.length === 0
        ? ''
        : html`<p>Parameters: ${parameters.map((p) => html`<code>${p.name}</code> (${p.in}${p.required ? ', required' : ''}) `)}</p>`
    }
    ${Object.entries(body).map(
      ([type, { schema }]) =>
        html`<p>Body <code>${type}</code></p><pre>${JSON.stringify(schema, null, 2)}</pre>`,
    )}
    <table>${Object.entries(operation.responses ?? {}).map(
      ([status, response]) =>
        html`<tr><td><code>${status}</code></td><td>${response.description ?? ''}</td><td>${Object.keys(response.content ?? {}).join(', ')}</td></tr>`,
    )}</table>
  </details>`;
}

function byTag(document: OpenApiDocument): Map<string, [string, string, Operation][]> {
  const groups = new Map<string, [string, string, Operation][]>();
  for (const [path, methods] of Object.entries(document.paths ?? {})) {
    for (const [method, operation] of Object.entries(methods)) {
      const tag = operation.tags?.[0] ?? 'other';
      groups.set(tag, [...(groups.get(tag) ?? []), [method, path, operation]]);
    }
  }
  return groups;
}

/** The whole page as HTML; its style carries the nonce by which the page's policy knows it. */
export function docsPage(document: OpenApiDocument, nonce = '') {
  const groups = [...byTag(document)];
  const schemas = Object.entries(document.components?.schemas ?? {});
  return html`<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${document.info.title}</title><style nonce="${nonce}">${raw(style)}</style></head><body>
<h1>${document.info.title} <small>${document.info.version}</small></h1>
<p>${document.info.description ?? ''}</p>
<p>The machine-readable form is <a href="/openapi.json">/openapi.json</a>.
Send <code>Authorization: Bearer cw_...</code> with every request under <code>/v1</code>.</p>
${groups.map(
  ([tag, operations]) =>
    html`<h2 id="${tag}">${tag}</h2>${operations.map(([m, p, o]) => operationView(m, p, o))}`,
)}
<h2 id="problems">Problems</h2><p>Every error is <code>application/problem+json</code>; its
<code>type</code> points here.</p><table>${Object.entries(problemKinds).map(
    ([kind, { status, title }]) =>
      html`<tr id="problem-${kind}"><td><code>${status}</code></td><td><code>${kind}</code></td><td>${title}</td></tr>`,
  )}</table>
<h2 id="schemas">Schemas</h2>${schemas.map(
    ([name, schema]) =>
      html`<details id="schema-${name}"><summary><code>${name}</code></summary><pre>${JSON.stringify(schema, null, 2)}</pre></details>`,
  )}
</body></html>`;
}
