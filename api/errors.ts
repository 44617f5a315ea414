// The one error class and the one table from kind to status and title.
// Services and stores throw ProblemError; http/problem.ts alone turns it into an answer.

/** Every kind of problem the API answers with: HTTP status and title. */
export const problemKinds = {
  'invalid-request': { status: 400, title: 'The request cannot be read' },
  unauthenticated: { status: 401, title: 'A valid token is needed' },
  forbidden: { status: 403, title: 'The token does not allow this' },
  'not-found': { status: 404, title: 'There is no such thing here' },
  'method-not-allowed': { status: 405, title: 'The path does not take this method' },
  'not-acceptable': { status: 406, title: 'The answer has no such format' },
  conflict: { status: 409, title: 'The request conflicts with what is stored' },
  gone: { status: 410, title: 'This existed and is gone' },
  'too-large': { status: 413, title: 'The request is too large' },
  'unsupported-media-type': { status: 415, title: 'The body has a type that is not read' },
  unprocessable: { status: 422, title: 'The input is not valid' },
  'rate-limited': { status: 429, title: 'Too many requests' },
  'launcher-failed': { status: 502, title: 'The launch target failed' },
  unavailable: { status: 503, title: 'Not available at the moment' },
  internal: { status: 500, title: 'An unexpected error' },
} as const;

export type ProblemKind = keyof typeof problemKinds;

/** A fault of one piece of input: a JSON pointer or a line, and what is wrong there. */
export type InputFault = {
  pointer?: string;
  line?: number;
  caseId?: string;
  detail: string;
  range?: { from: number; to: number };
};

/** What a service or a store throws; `detail` says what happened and what to do next. */
export class ProblemError extends Error {
  readonly kind: ProblemKind;
  readonly detail: string;
  readonly errors: InputFault[] | undefined;
  /** Where trying again helps: after how long, for the header `Retry-After`. */
  readonly retryAfterSeconds: number | undefined;

  constructor(
    kind: ProblemKind,
    detail: string,
    extra: { errors?: InputFault[]; retryAfterSeconds?: number; cause?: unknown } = {},
  ) {
    super(detail, { cause: extra.cause });
    this.name = 'ProblemError';
    this.kind = kind;
    this.detail = detail;
    this.errors = extra.errors;
    this.retryAfterSeconds = extra.retryAfterSeconds;
  }
}
