// Which refusals of an engine are its last word.

import { expect, test } from 'vitest';
import { refusal } from '../../../api/launchers/docker/answers.ts';

test.each([
  [404, 'No such image: trainer:1', 'unprocessable'],
  [500, 'trainer:1: image not known', 'unprocessable'],
  [500, 'statfs /srv/images: no such file or directory', 'unprocessable'],
  [500, 'error mounting "/srv/x" to rootfs at "/x": no such file or directory', 'unprocessable'],
  [400, 'invalid mount config: bind source path does not exist: /srv/x', 'unprocessable'],
  [500, 'unable to find network with name or ID lab: network not found', 'unprocessable'],
  [404, 'network lab not found', 'unprocessable'],
  [500, 'runc: exec: "node": executable file not found in $PATH', 'unprocessable'],
  [500, 'could not select device driver "nvidia" with capabilities: [[gpu]]', 'unprocessable'],
  [400, 'Minimum memory limit allowed is 6MB', 'unprocessable'],
  [500, 'write /var/lib/docker: no space left on device', 'launcher-failed'],
  [
    500,
    'dial unix /run/containerd/containerd.sock: connect: no such file or directory',
    'launcher-failed',
  ],
  [500, 'database is locked', 'launcher-failed'],
  [503, '', 'launcher-failed'],
])('%i %s is %s', (status, message, kind) => {
  const answer = { status, json: { message }, text: '', headers: {} };
  expect(refusal('The engine refuses the container', answer)).toMatchObject({
    kind,
    detail: expect.stringContaining(message),
  });
});
