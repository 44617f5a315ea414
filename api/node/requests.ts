// Every request of the Node entry: a line in the log once its answer has left, and the numbers for
// Prometheus as soon as the answer begins, so that a stream of hours is no slow request.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Answered, Log, Witness } from '../deps.ts';

/** Told that a request arrived; what it answers is told how it was answered. */
export type RequestMeasure = () => (answered: Answered & { seconds: number }) => void;

type Exchange = { incoming: IncomingMessage; outgoing: ServerResponse };

/** Health is asked every few seconds by whoever restarts the service. */
const quiet = ['/health'];

/** The witness of the app; `measure` is there where somebody measures. */
export function requestWitness(log: Log, measure?: RequestMeasure): Witness {
  return (runtime) => {
    const started = performance.now();
    const measured = measure?.();
    const { incoming, outgoing } = runtime as Exchange;
    const { socket } = incoming;
    const before = socket.bytesWritten;
    return (answered) => {
      measured?.({ ...answered, seconds: (performance.now() - started) / 1000 });
      outgoing.once('close', () => {
        log(quiet.includes(answered.route) ? 'debug' : 'info', 'request', {
          ...answered,
          ms: Math.round(performance.now() - started),
          bytesIn: Number(incoming.headers['content-length'] ?? 0),
          bytesOut: socket.bytesWritten - before,
          // The caller went away before the end.
          ...(outgoing.writableFinished ? {} : { cutOff: true }),
        });
      });
    };
  };
}
