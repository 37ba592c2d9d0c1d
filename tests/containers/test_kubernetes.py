"""deploy/kubernetes: what only a cluster can do is looked up in the files; the pods themselves run here, by podman."""

import resource

import pytest

from engine import ROOT, docker, wait_until
from pods import Podman, manifest, pod_spec, transform

DIRECTORY = ROOT / "deploy" / "kubernetes"
FILES = ("sidecar.yaml", "sidecar-older.yaml")
SECRET = "redis://127.0.0.1:6379/0"


@pytest.fixture(scope="module")
def podman(images, tmp_path_factory):
    """With the images that docker built."""
    directory = tmp_path_factory.mktemp("podman")
    podman = Podman(directory / "root", min(20000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    try:
        docker("save", "--output", str(directory / "images.tar"), *images)
        podman.take(directory / "images.tar")
        podman.keep_secret("redis-url", {"url": SECRET})
        yield podman
    finally:
        podman.end()


@pytest.fixture(params=FILES)
def pod(podman, request, tmp_path):
    """The manifest's pod, running; gives the name of its respgate, and of its application."""
    file = tmp_path / "pod.yaml"
    file.write_text(transform(manifest(DIRECTORY / request.param)))
    podman("play", "kube", str(file))
    yield "app-pod-0-respgate", "app-pod-0-app"
    podman("play", "kube", "--down", str(file))


def sidecar(spec):
    """respgate's container, wherever it stands."""
    return next(one for one in spec.get("initContainers", []) + spec["containers"] if one["name"] == "respgate")


def test_the_sidecar_is_a_native_one():
    spec = pod_spec(manifest(DIRECTORY / "sidecar.yaml"))
    respgate = sidecar(spec)
    assert respgate in spec["initContainers"] and respgate["restartPolicy"] == "Always"
    assert respgate["startupProbe"]["exec"]["command"] == ["respgate", "health"]
    assert respgate["livenessProbe"]["exec"]["command"] == ["respgate", "health", "--live"]


def test_the_older_one_starts_before_the_application():
    spec = pod_spec(manifest(DIRECTORY / "sidecar-older.yaml"))
    assert "initContainers" not in spec and [one["name"] for one in spec["containers"]] == ["respgate", "app"]
    assert sidecar(spec)["lifecycle"]["postStart"]["exec"]["command"][:2] == ["respgate", "wait"]


@pytest.mark.parametrize("file", FILES)
def test_it_may_nothing_and_sees_no_service_links(file):
    spec = pod_spec(manifest(DIRECTORY / file))
    assert spec["enableServiceLinks"] is False
    assert sidecar(spec)["securityContext"] == {
        "readOnlyRootFilesystem": True, "runAsNonRoot": True, "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}}
    assert [one["name"] for one in spec["containers"]][-1] == "app"
    assert spec["containers"][-1]["env"] == [{"name": "REDIS_URL", "value": "redis://127.0.0.1:6380/0"}]


def test_the_pod_counts_through_respgate_alone(podman, pod):
    respgate, app = pod
    wait_until(lambda: "counted 3" in podman("logs", app).stdout.splitlines(), 30,
               lambda: podman("logs", app).stdout + podman("logs", respgate).stdout)
    assert podman.execute(respgate, "respgate", "health") == (0, "ready, backend primary\n")
    assert podman.execute(respgate, "respgate", "health", "--live")[0] == 0
    found = podman("inspect", "--format", "{{.HostConfig.ReadonlyRootfs}} {{.Config.User}} {{.EffectiveCaps}}", respgate)
    assert found.stdout == "true 65532:65532 []\n"
    assert SECRET not in podman("inspect", respgate).stdout
