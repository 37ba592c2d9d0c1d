"""README.md, "Five ways to deploy": those with containers, run as they stand there."""

import re
import sys

import pytest
import yaml

from engine import APP, RESPGATE, ROOT, wait_until
from pods import transform
from runner import Job
from stack import Stack, counts, failures
from test_github import PROGRAM
from test_kubernetes import podman  # noqa: F401 (a fixture)

sys.path.insert(0, str(ROOT / "tests"))
from readme_blocks import COMPOSE, DEPLOY, GITHUB, KUBERNETES, README  # noqa: E402


@pytest.fixture
def write(tmp_path):
    """Factory: write("compose.yaml", text) gives the path."""
    def write_file(name, text):
        path = tmp_path / name
        path.write_text(text)
        return path
    return write_file


def test_the_files_it_names_are_there():
    named = set(re.findall(r"\bdeploy/[\w./-]*\w", DEPLOY))
    assert len(named) > 6 and [name for name in named if not (ROOT / name).exists()] == []
    assert f"-t {RESPGATE} ." in DEPLOY and README.count(APP) >= 2


def test_compose(images, write):
    with Stack([write("compose.yaml", COMPOSE)]) as stack:
        lines = stack.wait_for_counts(0, 3)
        assert counts(lines)[:3] == [1, 2, 3] and not failures(lines)
        assert stack.service("respgate").health() == "healthy"


def test_github_actions(respgate_image, redis_image, write, tmp_path):
    write("tests", PROGRAM).chmod(0o755)
    with Job(write("workflow.yaml", GITHUB), "tests", {"RESPGATE_IMAGE": RESPGATE}) as job:
        assert job.run(tmp_path), job.output
    assert job.output["Tests"] == "counted 1\n"


def test_kubernetes(podman, write):  # noqa: F811
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "readme"},
                  "spec": {"template": {"metadata": {"labels": {"app": "readme"}}, "spec": yaml.safe_load(KUBERNETES)}}}
    sidecar, = deployment["spec"]["template"]["spec"]["initContainers"]
    assert sidecar["restartPolicy"] == "Always" and sidecar["startupProbe"]["exec"]["command"] == ["respgate", "health"]
    file = write("pod.yaml", transform(deployment))
    podman("play", "kube", str(file))
    try:
        wait_until(lambda: "counted 3" in podman("logs", "readme-pod-0-app").stdout.splitlines(), 30,
                   lambda: podman("logs", "readme-pod-0-app").stdout + podman("logs", "readme-pod-0-respgate").stdout)
    finally:
        podman("play", "kube", "--down", str(file))
