// HTTP over a unix socket of this machine, which fetch cannot do.

import { request as httpRequest } from 'node:http';
import type { Carrier } from '../engine-http.ts';

const mostBytes = 8 * 1024 * 1024;

/** Carries requests to the engine that listens on a socket. */
export function socketCarrier(socketPath: string): Carrier {
  return ({ method, path, headers, body, signal }) =>
    new Promise((resolve, reject) => {
      const sent = { ...headers, host: 'engine', ...bodyHeaders(body) };
      const options = { socketPath, method, path, headers: sent, signal };
      const request = httpRequest(options, (response) => {
        const parts: Buffer[] = [];
        let bytes = 0;
        response.on('data', (part: Buffer) => {
          bytes += part.length;
          if (bytes > mostBytes) response.destroy(new Error('the answer is too large'));
          else parts.push(part);
        });
        response.on('error', reject);
        response.on('end', () => {
          // Logs are framed in bytes that are no text; latin1 keeps each of them.
          const raw = response.headers['content-type']?.includes('json') ? 'utf8' : 'latin1';
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString(raw) });
        });
      });
      request.on('error', reject);
      request.end(body);
    });
}

function bodyHeaders(body: string | undefined): Record<string, string> {
  if (body === undefined) return {};
  return {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
  };
}

/** The text of framed output: each frame is 8 bytes (stream, 0, 0, 0, length) and its bytes. */
export function unframed(latin1: string): string {
  const bytes = Buffer.from(latin1, 'latin1');
  const parts: Buffer[] = [];
  for (let at = 0; at + 8 <= bytes.length; ) {
    if (bytes[at] > 2 || bytes.readUIntBE(at + 1, 3) !== 0) return bytes.toString('utf8');
    const length = bytes.readUInt32BE(at + 4);
    parts.push(bytes.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  return Buffer.concat(parts).toString('utf8');
}
