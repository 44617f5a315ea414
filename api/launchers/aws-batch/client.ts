// Signed requests to AWS Batch and CloudWatch Logs, and what AWS says when it refuses one, in words
// that name what to do.

import { AwsClient } from 'aws4fetch';
import type { LaunchTarget } from '../../contract/targets.ts';
import { ProblemError } from '../../errors.ts';
import {
  type Carrier,
  type EngineAnswer,
  type EngineRequest,
  engineClient,
  shown,
} from '../engine-http.ts';
import { isLoopback } from '../loopback.ts';
import { targetProblem } from '../target-fields.ts';
import { type AwsKeys, readKeys } from './credentials.ts';

/** A service of AWS in a region, and where it is reached. */
export type AwsService = { service: 'batch' | 'logs'; region: string; address: string };

export type Aws = {
  /** The keys of now; throws `launcher-failed` where there are none that hold. */
  keys: () => Promise<AwsKeys>;
  /**
   * What Batch answers. Throws `unavailable` where it may answer later, `launcher-failed` where
   * somebody has to act, and `unprocessable` where it will never take the job or has no such queue.
   */
  // biome-ignore lint/suspicious/noExplicitAny: what AWS answers is read field by field
  batch: (operation: string, body: object, secret?: string) => Promise<any>;
  /** The answer of CloudWatch Logs, whatever its status. */
  logs: (operation: string, body: object) => Promise<EngineAnswer>;
};

/** Where a service of a target is reached: what the target says, or the region's own address. */
export function serviceOf(
  target: LaunchTarget,
  field: 'address' | 'logsAddress',
  { region, given }: { region: string; given: string | undefined },
): AwsService {
  const service = field === 'address' ? 'batch' : 'logs';
  const end = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
  const address = given ?? `https://${service}.${region}.${end}`;
  const url = URL.canParse(address) ? new URL(address) : null;
  const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(address));
  if (url === null || !isSafe) {
    const what = 'is no https:// address; without it the address of the region is used';
    throw targetProblem(target, field, what);
  }
  return { service, region, address: url.origin };
}

export function awsOf(
  target: LaunchTarget,
  { batch, logs }: { batch: AwsService; logs: AwsService },
  credential: () => Promise<string | null>,
): Aws {
  const keys = async () => readKeys(target.name, (await credential()) ?? '', new Date());
  const send = async (service: AwsService, path: string, headers: object, body: object) => {
    const carry = signedCarrier(await keys(), service);
    const request = { path, headers: { ...headers }, body: JSON.stringify(body) };
    return await engineClient(target.name, carry)({ method: 'POST', ...request });
  };
  return {
    keys,
    batch: async (operation, body, secret) => {
      const headers = { 'content-type': 'application/json' };
      const answer = await send(batch, `/v1/${operation.toLowerCase()}`, headers, body);
      if (answer.status === 200) return answer.json ?? {};
      throw refusal(target.name, { operation, answer, secret });
    },
    logs: async (operation, body) =>
      await send(
        logs,
        '/',
        {
          'content-type': 'application/x-amz-json-1.1',
          'x-amz-target': `Logs_20140328.${operation}`,
        },
        body,
      ),
  };
}

function signedCarrier(keys: AwsKeys, service: AwsService): Carrier {
  return async ({ signal, ...asked }) => {
    // Sent once and never again by itself: a SubmitJob that is sent twice is two jobs. The signal
    // is given to fetch: Node holds one in a Request so weakly that it may never fire.
    const response = await fetch(await signedRequest(keys, service, asked), { signal });
    const text = await response.text();
    const type = response.headers.get('x-amzn-errortype');
    return { status: response.status, text: type === null ? text : withType(text, type) };
  };
}

/** A request by Signature Version 4; `datetime` (20150830T123600Z) is for known answers only. */
export async function signedRequest(
  { accessKeyId, secretAccessKey, sessionToken }: AwsKeys,
  { service, region, address }: { service: string; region: string; address: string },
  { path, datetime, ...init }: EngineRequest & { datetime?: string },
): Promise<Request> {
  const client = new AwsClient({ accessKeyId, secretAccessKey, sessionToken, service, region });
  // Not followed: a redirect would take the token elsewhere.
  const all = { ...init, redirect: 'manual' as const, aws: { datetime } };
  return await client.sign(`${address}${path}`, all);
}

// Batch names the kind of an error in a header, Logs in the body.
function withType(text: string, type: string): string {
  let message = text;
  try {
    const json = JSON.parse(text);
    message = json.message ?? json.Message ?? text;
  } catch {
    // what is no JSON is shown as it is
  }
  return JSON.stringify({ __type: type, message });
}

/** The name of an error, without the namespace and the address that may stand around it. */
export function errorNameOf({ json }: EngineAnswer): string {
  return String(json?.__type ?? json?.code ?? '')
    .replace(/^.*#/, '')
    .replace(/:.*$/, '');
}

const words: [RegExp, 'unavailable' | 'launcher-failed', string][] = [
  [
    /TooManyRequests|Throttl|RequestLimitExceeded|SlowDown/,
    'unavailable',
    'AWS is asked more often than the account may; it will be asked again',
  ],
  [
    /ExpiredToken|RequestExpired/,
    'launcher-failed',
    'its AWS credentials have expired; write fresh ones to where "credentials" points',
  ],
  [
    /UnrecognizedClient|InvalidClientTokenId|InvalidAccessKeyId|NotSignedUp|OptInRequired/,
    'launcher-failed',
    'AWS does not know its access key in this region; see that "credentials" are of this account and the key is active',
  ],
  [
    /Signature|MissingAuthentication/,
    'launcher-failed',
    "AWS does not accept its signature; see that the secret belongs to the access key and that the clock of the service's machine is right",
  ],
  [
    /AccessDenied|NotAuthorized|UnauthorizedOperation/,
    'launcher-failed',
    'its AWS user or role lacks a right; give it the policy of infra/aws',
  ],
];

function refusal(
  targetName: string,
  { operation, answer, secret }: { operation: string; answer: EngineAnswer; secret?: string },
): ProblemError {
  const { status, json, text } = answer;
  const name = errorNameOf(answer);
  const said = shown(String(json?.message ?? json?.Message ?? text), secret);
  const asked = `${operation}: ${status} ${name} ${said}`.replaceAll(/ +/g, ' ').trim();
  const known = words.find(([pattern]) => pattern.test(name));
  if (known !== undefined || status === 429) {
    const [, kind, hint] = known ?? words[0];
    return new ProblemError(kind, `Target "${targetName}": ${hint} (${asked}).`);
  }
  // What ListJobs can find wrong is the queue, and that no later try will change.
  const isFinal =
    operation === 'SubmitJob'
      ? status >= 400 && status < 500 && status !== 408
      : operation === 'ListJobs' && name === 'ClientException';
  if (isFinal) return new ProblemError('unprocessable', `AWS Batch refuses the job (${asked}).`);
  const kind = status >= 500 ? 'unavailable' : 'launcher-failed';
  return new ProblemError(kind, `Target "${targetName}": AWS Batch said ${asked}.`);
}
