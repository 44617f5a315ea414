"""moto's AWS, with Batch's containers closer to AWS.

Started by moto.ts as `python moto_server.py PORT`. moto 5.2.1 runs real containers for jobs of
Batch, but leaves out what a launcher has to read. Each patch below says what AWS does and moto does
not; states, names and requests stay moto's own.
"""

import sys
import threading

import docker.models.containers as containers
from moto.batch.models import Job
from moto.server import main

GRACE_SECONDS = 30
KILLED = 137

_run = containers.ContainerCollection.run
_terminate = Job.terminate
_details = Job._container_details
_describe = Job.describe
_mark_stopped = Job._mark_stopped


def _memory_mib(job):
    definition = job.job_definition.container_properties or {}
    asked = definition.get("resourceRequirements", []) + job.container_overrides.get(
        "resourceRequirements", []
    )
    sizes = [one["value"] for one in asked if one["type"] == "MEMORY"]
    return int(sizes[-1]) if sizes else None


def run(self, *args, **kwargs):
    """AWS limits a container's memory to what was asked for. A job is a thread: this one."""
    job = threading.current_thread()
    if isinstance(job, Job) and (mib := _memory_mib(job)):
        kwargs.update(mem_limit=f"{mib}m", memswap_limit=f"{mib}m")
    container = _run(self, *args, **kwargs)
    job.counterweight_container = container
    return container


def kill(self, signal=None):
    """AWS stops a container with SIGTERM and waits half a minute before SIGKILL."""
    self.stop(timeout=GRACE_SECONDS)


def terminate(self, reason):
    """AWS remembers that a job was terminated."""
    self.counterweight_terminated = True
    _terminate(self, reason)


def container_details(self):
    """AWS says how the container ended."""
    details = _details(self)
    if self.job_stopped and self.exit_code is not None:
        details["exitCode"] = self.exit_code
    reason = getattr(self, "counterweight_reason", None)
    return details if reason is None else {**details, "reason": reason}


def describe(self):
    described = _describe(self)
    if getattr(self, "counterweight_terminated", False):
        described["isTerminated"] = True
    return described


def mark_stopped(self, success=True):
    """AWS says why a job failed: its time was over, its memory ran out, its container ended."""
    if not self.job_stopped and not success:
        container = getattr(self, "counterweight_container", None)
        if self.job_stopped_reason is None:
            is_late = container is not None and self.exit_code is None
            self.job_stopped_reason = (
                "Job attempt duration exceeded timeout"
                if is_late
                else "Essential container in task exited"
            )
        if self.exit_code == KILLED and container is not None:
            container.reload()
            if container.attrs["State"].get("OOMKilled"):
                self.counterweight_reason = (
                    "OutOfMemoryError: Container killed due to memory usage"
                )
    _mark_stopped(self, success)


containers.ContainerCollection.run = run
containers.Container.kill = kill
Job.terminate = terminate
Job._container_details = container_details
Job.describe = describe
Job._mark_stopped = mark_stopped

if __name__ == "__main__":
    main(["-H", "127.0.0.1", "-p", sys.argv[1]])
