"""Proves that deploy/quickstart does what the README promises: a checked demo, a harmless second start, a stop."""

import os
import re
import subprocess

import pytest

from harness import ROOT, RespConnection

SCRIPT = ROOT / "deploy" / "quickstart"


def quickstart(state, *arguments):
    """Run it and return the finished process."""
    return subprocess.run([SCRIPT, *arguments, "--state", state], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=300, check=False)


def is_running(pid):
    """Whether a process is there and no zombie."""
    return os.path.exists(f"/proc/{pid}/exe")


@pytest.fixture
def state(tmp_path):
    """A state directory whose processes are ended whatever happened."""
    yield tmp_path / "state"
    quickstart(tmp_path / "state", "--stop")


def pids_in(output):
    """The pids it printed."""
    found = [int(pid) for pid in re.findall(r"^(?:respgate|redis-server) +pid (\d+),", output, re.M)]
    assert len(found) == 2, output
    return found


def test_demo_shows_a_checked_session_and_leaves_nothing(state):
    done = quickstart(state, "--demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^REDIS_URL=redis://127\.0\.0\.1:\d+/0$", done.stdout, re.M), done.stdout
    for line in ("> redis-cli GET greeting\n  hello", "errors: 0, replies: 3", "  QUEUED\n  QUEUED\n  4\n  4",
                 "  message\n  news\n  hello", "  jobs\n  job-1", "demo: all answers as expected"):
        assert line in done.stdout, f"{line!r} is not in:\n{done.stdout}"
    assert not any(is_running(pid) for pid in pids_in(done.stdout))
    assert not list(state.glob("*.pid"))


def test_second_start_keeps_what_runs_and_stop_ends_it(state):
    first, second = quickstart(state), quickstart(state)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert pids_in(first.stdout) == pids_in(second.stdout)
    port = int(re.search(r"REDIS_URL=redis://127\.0\.0\.1:(\d+)/0", first.stdout)[1])
    with RespConnection(port) as connection:
        assert connection.call("SET", "k", "v") == "OK"
    assert quickstart(state, "--stop").returncode == 0
    assert not any(is_running(pid) for pid in pids_in(first.stdout))
    again = quickstart(state, "--stop")
    assert (again.returncode, again.stdout) == (0, "")


def test_a_wrong_option_is_a_usage_error(state):
    done = quickstart(state, "--nonsense")
    assert done.returncode == 64
    assert done.stderr.startswith("usage: deploy/quickstart")


def test_an_unusable_state_directory_is_one_clear_line(tmp_path):
    (tmp_path / "file").touch()
    done = quickstart(tmp_path / "file" / "state")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("quickstart: cannot make ")
