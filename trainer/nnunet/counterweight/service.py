"""The service over HTTP, as a trainer sees it: patient where it is away, plain where it refuses."""

import json
import random
import time
import urllib.error
import urllib.parse
import urllib.request

from .problems import CONFIGURATION, FAILED, REVOKED, TrainerError
from .snapshot import verified_snapshot

RETRY_FOR_SECONDS = 3600
_PASSING = {408, 429}


class Service:
    """One attempt's view of the service. Every request is repeated for up to an hour."""

    def __init__(self, api, token, say=print, sleep=time.sleep, clock=time.monotonic):
        self.api = api.rstrip("/")
        self._token = token
        self._say, self._sleep, self._clock = say, sleep, clock

    def __repr__(self):
        return f"Service({self.api})"

    def job(self):
        """The job of this attempt."""
        return json.loads(self._ask("/v1/trainer/job"))

    def snapshot(self, digest):
        """The verified snapshot of a digest."""
        path = f"/v1/trainer/snapshot?digest={urllib.parse.quote(digest)}"
        return verified_snapshot(json.loads(self._ask(path)), digest)

    def cases(self):
        """Both sides of the fold, a dictionary per case."""
        text = self._ask("/v1/trainer/cases", accept="application/x-ndjson")
        return [json.loads(line) for line in text.splitlines() if line.strip()]

    def report(self, body):
        """Sends a report; answers what the service says to it."""
        return json.loads(self._ask("/v1/trainer/reports", body))

    def finish(self, body):
        """Sends the final report."""
        self._ask("/v1/trainer/finish", body)

    def _ask(self, path, body=None, accept="application/json"):
        began, tries = self._clock(), 0
        while True:
            wait = min(30, 0.5 * 2 ** min(tries, 10)) * random.uniform(0.5, 1)
            try:
                return self._once(path, body, accept)
            except urllib.error.HTTPError as error:
                if error.code < 500 and error.code not in _PASSING:
                    raise _refusal(error, path, body is not None) from None
                trouble = f"status {error.code}"
                wait = max(wait, _seconds_asked(error))
            except (urllib.error.URLError, OSError, EOFError) as error:
                trouble = str(getattr(error, "reason", error))
            if self._clock() - began + wait > RETRY_FOR_SECONDS:
                raise TrainerError(f"{self.api}{path} has not answered for too long: {trouble}")
            self._say(f"{path}: {trouble}; trying again in {wait:.1f} s")
            self._sleep(wait)
            tries += 1

    def _once(self, path, body, accept):
        headers = {"authorization": f"Bearer {self._token}", "accept": accept}
        data = None
        if body is not None:
            headers["content-type"] = "application/json"
            data = json.dumps(body, allow_nan=False).encode()
        request = urllib.request.Request(self.api + path, data=data, headers=headers)
        with urllib.request.urlopen(request, timeout=600) as answer:
            return answer.read().decode()


def _seconds_asked(error):
    try:
        return min(300, float(error.headers.get("retry-after", 0)))
    except ValueError:
        return 0


def _refusal(error, path, is_post):
    text = error.read().decode(errors="replace")[:2000]
    try:
        text = json.loads(text).get("detail", text)
    except (ValueError, AttributeError):
        pass  # not a problem document: the text itself has to do
    if error.code == 409 and is_post:
        return TrainerError(f"this attempt was revoked: {text}", REVOKED)
    code = CONFIGURATION if path == "/v1/trainer/job" else FAILED
    return TrainerError(f"{path} was refused with {error.code}: {text}", code)
