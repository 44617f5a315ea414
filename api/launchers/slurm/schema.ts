// Whether a site's slurmrestd knows what it is asked for: newer versions only warn of a field that
// they do not know and start the job without it, say without its GPU.

type Json = Record<string, unknown>;

/** The schema that `$ref` leads to, or the one that was given. */
function resolved(document: Json, schema: Json | undefined): Json {
  let found = schema ?? {};
  for (let hops = 0; typeof found.$ref === 'string' && hops < 10; hops++) {
    const steps = found.$ref.replace(/^#\//, '').split('/');
    found = steps.reduce<Json>((part, step) => (part?.[step] ?? {}) as Json, document);
  }
  return found;
}

/** Fields of a value, as `job.tres_per_node`, that its schema has not, or as another type. */
function strangers(document: Json, schema: Json, value: unknown, at: string): string[] {
  const { properties, items, type } = resolved(document, schema) as {
    properties?: Record<string, Json>;
    items?: Json;
    type?: string;
  };
  if (Array.isArray(value)) {
    if (type !== undefined && type !== 'array') return [`${at} (is ${type} there)`];
    return items === undefined ? [] : strangers(document, items, value[0] ?? '', `${at}[0]`);
  }
  if (value !== null && typeof value === 'object') {
    if (properties === undefined) return type === 'object' ? [] : [`${at} (is ${type} there)`];
    return Object.entries(value).flatMap(([name, part]) => {
      const path = at === '' ? name : `${at}.${name}`;
      const known = properties[name];
      return known === undefined ? [path] : strangers(document, known, part, path);
    });
  }
  const expected = typeof value === 'number' ? ['integer', 'number'] : [typeof value];
  return type === undefined || expected.includes(type) ? [] : [`${at} (is ${type} there)`];
}

/**
 * What in a body an OpenAPI document of slurmrestd has no place for; null where it does not have
 * the path at all.
 */
export function unknownFields(document: unknown, path: string, body: object): string[] | null {
  const paths = ((document as Json)?.paths ?? {}) as Record<string, Json>;
  const post = paths[path]?.post ?? paths[`${path}/`]?.post;
  if (post === undefined) return null;
  // biome-ignore lint/suspicious/noExplicitAny: a document of somebody else, read step by step
  const schema = (post as any).requestBody?.content?.['application/json']?.schema;
  return strangers(document as Json, (schema ?? {}) as Json, body, '');
}
