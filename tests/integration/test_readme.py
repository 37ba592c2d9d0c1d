"""The worked examples of the README, run as they stand there: with a place free, with none, and with Redis gone."""

import configparser
import re
import shutil
import subprocess
import sys

import pytest

from client_program import lines_of
from harness import ROOT

sys.path.insert(0, str(ROOT / "tests"))
from readme_blocks import block  # noqa: E402

CLIENTS = ROOT / "tests" / "clients"

# What an application would do with the functions: a line for each line it is sent.
PYTHON = """
import sys
for line in sys.stdin:
    print(run("acme", lambda: "done"), flush=True)
"""
NODE = """
require('readline').createInterface({ input: process.stdin })
  .on('line', async () => console.log(await handle('u1')))
  .on('close', () => process.exit());
"""


class Program:
    """An application that answers each line with one."""

    def __init__(self, argv, url):
        self.child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CLIENTS,
                                      env={"REDIS_URL": url, "PATH": "/usr/bin:/bin"})
        self.lines = lines_of(self.child.stdout)

    def ask(self):
        self.child.stdin.write("\n")
        self.child.stdin.flush()
        return self.lines.get(timeout=30).rstrip("\n")

    def end(self):
        self.child.stdin.close()
        try:
            self.child.wait(10)
        finally:
            self.child.kill()


@pytest.fixture
def start_programs(redis_server, start_respgate):
    """Both applications in front of one respgate with the README's rules and this on_backend_down."""
    running = []

    def start(policy):
        rules = configparser.ConfigParser(comment_prefixes=";")
        rules.read_string(block("can stand in the configuration:"))
        settings = {"fallback.queue_timeout": "100ms"}
        for section in rules.sections():
            name = section.removeprefix("limit ")
            settings |= {f"limit.{name}.{key}": value for key, value in rules[section].items()}
            settings[f"limit.{name}.on_backend_down"] = policy
        gate = start_respgate(redis_server, settings=settings)
        for argv in ([sys.executable, "-c", block("five at a time**") + PYTHON],
                     [shutil.which("node") or "node", "-e", block("burst 20**") + NODE]):
            running.append(Program(argv, gate.url()))
        return gate, *running

    yield start
    for program in running:
        program.end()


@pytest.mark.parametrize("policy,job,request_", [
    ("deny", "busy, come back in 1000 ms (reason 4)", "429, Retry-After: 1 (reason 4)"),
    ("allow", "done", "200, 19 of 20 left")])
def test_worked_examples(start_programs, redis_server, policy, job, request_):
    gate, jobs, api = start_programs(policy)
    assert jobs.ask() == "done"
    with gate.connect() as others:
        assert [others.call("SEM.ACQUIRE", "runs:acme", 5, 60000, token)[0] for token in "abcde"] == [1] * 5
    assert re.fullmatch(r"busy, come back in 5\d{4} ms \(reason 1\)", jobs.ask())
    assert [api.ask() for _ in range(20)] == [f"200, {left} of 20 left" for left in range(19, -1, -1)]
    assert {api.ask() for _ in range(3)} <= {"429, Retry-After: 1 (reason 1)", "429, Retry-After: 1 (reason 2)"}
    redis_server.kill()
    assert jobs.ask() == job
    assert api.ask() == request_
