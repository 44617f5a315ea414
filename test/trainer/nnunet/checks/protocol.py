"""The trainer's side of the protocol against a small server that fails, refuses and repeats."""

import json
import math
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from counterweight.job import open_job
from counterweight.problems import CONFIGURATION, FAILED, REVOKED, TrainerError
from counterweight.reporter import Reporter, report_bodies
from counterweight.service import Service
from made import made_snapshot


class Server:
    """Answers each request with the next of `answers`: (status, body[, headers])."""

    def __init__(self, *answers):
        self.asked, self._answers = [], list(answers)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                size = int(self.headers.get("content-length", 0))
                body = json.loads(self.rfile.read(size)) if size else None
                outer.asked.append((self.path, self.headers["authorization"], body))
                status, text, *headers = outer._answers.pop(0)
                data = (text if isinstance(text, str) else json.dumps(text)).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                for name, value in headers[0].items() if headers else ():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


def patient(url, waits, clock=lambda: 0.0):
    return Service(url, "secret", say=lambda _: None, sleep=waits.append, clock=clock)


def a_service_that_is_away_is_asked_again():
    waits = []
    with Server((503, ""), (429, "", {"retry-after": "7"}), (200, {"id": "j"})) as server:
        assert patient(server.url, waits).job() == {"id": "j"}
        assert [one[:2] for one in server.asked] == [("/v1/trainer/job", "Bearer secret")] * 3
    assert len(waits) == 2 and waits[1] == 7 and 0.25 <= waits[0] <= 0.5
    url, times = server.url, iter([0, 1, 3599, 3601])
    error = raised(lambda: patient(url, [], lambda: next(times)).job())
    assert "has not answered for too long" in str(error) and error.exit_code == FAILED


def a_refusal_ends_the_run():
    for status, path, code in ((409, "report", REVOKED), (422, "report", FAILED)):
        with Server((status, {"detail": "no more"})) as server:
            error = raised(lambda: getattr(patient(server.url, []), path)({"sequence": 0}))
            assert error.exit_code == code and "no more" in str(error), status
    with Server((401, "not even JSON")) as server:
        error = raised(lambda: patient(server.url, []).job())
        assert error.exit_code == CONFIGURATION and "not even JSON" in str(error)


def a_job_that_cannot_be_run_is_told():
    """An altered snapshot, a job of another trainer, a token of another job."""
    document = made_snapshot({"a": 1, "b": 2})
    job = {"id": "j", "seed": 1, "settings": {"trainer": "nnunet"}, "snapshot": document}
    altered = {**document, "cases": document["cases"][:1]}
    other = {**job, "settings": {"trainer": "counterweight"}}
    for answers, sentence in (
        ([job, altered], "was altered on the way"),
        ([other], 'is for the trainer "counterweight"'),
        ([{**job, "id": "k"}], "the token is for job k"),
    ):
        with Server(*((200, one) for one in [*answers, {}])) as server:
            said = {"CW_API": server.url, "CW_JOB": "j", "CW_TOKEN": "secret"}
            assert sentence in str(raised(lambda said=said: open_job(said, lambda _: None)))
            path, _, body = server.asked[-1]
            assert path == "/v1/trainer/finish" and body["outcome"] == "failed"
            assert sentence in body["error"]


def reports_are_numbered_across_restarts():
    fine = (200, {"accepted": True, "stop": False})
    last = {"accepted": True, "stop": True, "snapshot": {"digest": "sha256:b", "fromEpoch": 3}}
    with tempfile.TemporaryDirectory() as folder, Server(fine, fine, (200, last)) as server:
        for content in ({"metrics": [metric(1.5), metric(math.nan)]}, {"ledger": [{"epoch": 0}]}):
            reporter = Reporter(patient(server.url, []), folder, 1, 0, send_every=60)
            reporter.add(**content)
            reporter.flush()
            reporter.close()
        reporter = Reporter(patient(server.url, []), folder, 1, 0, send_every=60)
        reporter.log("a line")
        reporter.add(progress={"step": 2, "steps": 4})
        reporter.flush()
        reporter.close()
        bodies = [body for _, _, body in server.asked]
        assert [body["sequence"] for body in bodies] == [0, 1, 2]
        assert bodies[0]["metrics"] == [metric(1.5)] and bodies[1]["ledger"] == [{"epoch": 0}]
        assert bodies[2] == {
            "sequence": 2,
            "log": "a line\n",
            "progress": {"step": 2, "steps": 4},
        }
        assert reporter.stop and reporter.switch == last["snapshot"]


def a_revoked_reporter_says_so():
    with tempfile.TemporaryDirectory() as folder, Server((409, {"detail": "gone"})) as server:
        reporter = Reporter(patient(server.url, []), folder, 1, 0, send_every=60)
        reporter.add([metric(1.0)])
        assert raised(reporter.flush).exit_code == REVOKED
        assert raised(reporter.flush).exit_code == REVOKED
        reporter.close()
        assert len(server.asked) == 1, "it went on reporting"


def reports_stay_within_their_limits():
    metrics = [{**metric(number / 7), "group": "g" * 300} for number in range(7_000)]
    losses = [{"id": "é" * 150, "loss": 0.5, "seen": 1} for _ in range(3_000)]
    content = {"metrics": metrics, "caseLosses": losses, "ledger": [{"epoch": 1}], "latest": {}}
    bodies = report_bodies(content, "x" * 16_000)
    assert all(len(json.dumps(body)) < 1_048_576 for body in bodies) and len(bodies) > 3
    assert [one for body in bodies for one in body.get("metrics", [])] == metrics
    assert [one for body in bodies for one in body.get("caseLosses", [])] == losses
    assert ["ledger" in body for body in bodies] == [False] * (len(bodies) - 1) + [True]
    empty = {"metrics": [], "caseLosses": [], "ledger": [], "latest": {}}
    assert report_bodies(empty, "") == [{}], "a heartbeat"


def metric(value):
    return {"name": "loss", "value": value, "step": 1}


def raised(action):
    try:
        action()
    except TrainerError as error:
        return error
    raise AssertionError("nothing was raised")
