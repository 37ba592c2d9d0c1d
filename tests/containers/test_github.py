"""deploy/github-actions/tests.yaml: the job passes on its Redis, and on any other, or none, fails and says why."""

import pytest

from engine import REDIS, RESPGATE, ROOT
from runner import Job

WORKFLOW = ROOT / "deploy" / "github-actions" / "tests.yaml"
FIRST, TESTS, LAST = "The Redis these tests are meant for", "Tests", "What it was like"
PROGRAM = """#!/usr/bin/python3
import os
import redis
print("counted", redis.Redis.from_url(os.environ["REDIS_URL"]).incr("example:counter"))
"""


@pytest.fixture
def run_job(respgate_image, redis_image, tmp_path):
    """Factory: run_job(edit) gives the ended Job, whose checked-out tests count with redis-py and REDIS_URL."""
    program = tmp_path / "tests"
    program.write_text(PROGRAM)
    program.chmod(0o755)

    def run_it(edit=lambda job: None):
        with Job(WORKFLOW, "tests", {"RESPGATE_IMAGE": RESPGATE}, edit) as job:
            job.run(tmp_path)
        return job

    return run_it


def error_of(job):
    """The annotation that the job's page shows, line by line; none when there is none."""
    found = [line for line in job.output[FIRST].splitlines() if line.startswith("::error title=")]
    return found[0].removeprefix("::error title=Not the Redis these tests are meant for::").split("%0A") if found else []


def test_on_its_redis_the_job_passes_and_says_which_it_was(run_job):
    job = run_job()
    assert not job.failed, job.output
    assert job.output[TESTS] == "counted 1\n"
    assert job.output[FIRST].startswith("backend=docker after ") and not error_of(job)
    assert "backend docker" in job.output[LAST]


def test_without_its_redis_the_tests_do_not_run_and_the_reason_is_shown(run_job):
    def without_redis(job):
        del job["services"]["redis"]

    job = run_job(without_redis)
    assert job.failed and TESTS not in job.output
    error = error_of(job)
    assert error[0] == "gave up after 5000 ms, not backend=docker: the expected backend docker is not usable"
    assert error[1].startswith("[-] backend docker: down: the name redis is not resolved"), error


def test_what_else_is_configured_and_comes_first_does_not_get_the_tests(run_job):
    """The incident, but for RESPGATE_EXPECT."""
    def with_hosted(job):
        job["services"]["hosted"] = {"image": REDIS}
        job["services"]["respgate"]["env"].update({"RESPGATE_BACKEND_HOSTED_URL": "redis://hosted:6379/0",
                                                   "RESPGATE_BACKEND_HOSTED_PRIORITY": "1"})

    job = run_job(with_hosted)
    assert not job.failed, job.output
    assert job.output[TESTS] == "counted 1\n"
    assert "because pinned" in job.output[LAST] and "hosted           up            " in job.output[LAST], job.output


def test_the_reason_is_shown_when_respgate_itself_cannot_start(run_job):
    def with_typing_error(job):
        job["services"]["respgate"]["env"]["RESPGATE_LISTEN_ADRESS"] = "0.0.0.0:6380"

    job = run_job(with_typing_error)
    assert job.failed and TESTS not in job.output
    assert any("RESPGATE_LISTEN_ADRESS: unknown variable, did you mean" in line for line in error_of(job)), job.output
