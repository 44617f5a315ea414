// What may be wrong between the service and Postgres, as a sentence: by the codes of the system and
// of Postgres. No sentence has a password in it.

type Coded = Error & { code?: string; errors?: unknown[] };

/** Everything an error wraps, itself first; one without words of its own may have several parts. */
function wrapped(error: unknown): Coded[] {
  if (!(error instanceof Error)) return [];
  const { cause, errors = [] } = error as Coded;
  return [error as Coded, ...[...errors, cause].flatMap(wrapped)];
}

type Place = { host: string; role: string; database: string };

const sentences: Record<string, (place: Place) => string> = {
  ECONNREFUSED: ({ host }) =>
    `nothing listens at ${host}. Is Postgres running there, and is the port right?`,
  ENOTFOUND: ({ host }) => `there is no host ${host}. Is its name right?`,
  EAI_AGAIN: ({ host }) => `the name ${host} cannot be looked up at the moment.`,
  ETIMEDOUT: ({ host }) => `${host} does not answer. Does a firewall stand between?`,
  EHOSTUNREACH: ({ host }) => `${host} cannot be reached from here.`,
  ENETUNREACH: ({ host }) => `${host} cannot be reached from here.`,
  ECONNRESET: ({ host }) => `${host} broke the connection off.`,
  '28P01': ({ role }) => `Postgres refuses the password of role "${role}".`,
  '28000': ({ role, host }) =>
    `Postgres at ${host} does not let role "${role}" in: no such role, or pg_hba.conf says no.`,
  '3D000': ({ database }) => `there is no database "${database}": createdb makes one.`,
  '42501': ({ role }) =>
    `role "${role}" may not do this. Name the owner of the tables in DATABASE_OWNER_URL; it migrates and grants.`,
  '42704': () => 'the role of DATABASE_URL does not exist: create role NAME login password ...',
  '53300': ({ host }) => `${host} has no connection left: see max_connections there.`,
  '57P01': ({ host }) => `${host} is shutting down.`,
  '57P03': ({ host }) => `${host} is starting up; try again in a moment.`,
};

/** What `pg` says without a code. */
const said: [RegExp, string][] = [
  [/timeout exceeded|connection timeout/i, 'ETIMEDOUT'],
  [/connection terminated/i, 'ECONNRESET'],
];

/** The sentence for an error of reaching or entering a database; undefined for any other. */
export function databaseFault(error: unknown, url: string): string | undefined {
  const place = placeOf(url);
  for (const one of wrapped(error)) {
    const code = one.code ?? said.find(([words]) => words.test(one.message))?.[1] ?? '';
    if (code in sentences) return sentences[code](place);
    if (/certificate|SSL|TLS/.test(`${one.code} ${one.message}`)) {
      return `no TLS connection to ${place.host}: ${one.message}.`;
    }
  }
  return undefined;
}

// An address by a socket's path is none that URL reads.
function placeOf(url: string): Place {
  if (!URL.canParse(url)) return { host: 'that address', role: '', database: '' };
  const { hostname, port, username, pathname } = new URL(url);
  return {
    host: `${hostname}:${port || '5432'}`,
    role: decodeURIComponent(username),
    database: decodeURIComponent(pathname.slice(1)),
  };
}
