"""Images that are built once, and containers that are gone after their test."""

import uuid

import pytest

from engine import APP, REDIS, RESPGATE, ROOT, Container, build, docker  # first: it finds the modules of tests/integration
from certs import KINDS, Certificates

KINDS["hosted"] = {"names": "subjectAltName=DNS:hosted\n"}
TLS_ONLY = ("--port", "0", "--tls-port", "6379", "--tls-auth-clients", "no", "--bind", "0.0.0.0",
            "--tls-cert-file", "/certs/hosted.crt", "--tls-key-file", "/certs/hosted.key", "--tls-ca-cert-file",
            "/certs/ca.crt")


@pytest.fixture
def figure(capsys):
    """figure("image of 7 MB (at most 10)"): shown whatever happens."""
    def show(text):
        with capsys.disabled():
            print(f"\nfigure: {text}")
    return show


@pytest.fixture(scope="session")
def respgate_image():
    """The image of deploy/Dockerfile, unmodified."""
    return build(RESPGATE, ROOT / "deploy" / "Dockerfile", ROOT)


@pytest.fixture(scope="session")
def redis_image():
    """Debian's Redis under the name that everybody uses."""
    directory = ROOT / "tests" / "containers" / "redis"
    return build(REDIS, directory / "Dockerfile", directory)


@pytest.fixture(scope="session")
def app_image():
    """The application of deploy/compose.yaml."""
    directory = ROOT / "deploy" / "example-app"
    return build(APP, directory / "Dockerfile", directory)


@pytest.fixture(scope="session")
def images(respgate_image, redis_image, app_image):
    """All that deploy/compose.yaml names."""
    return respgate_image, redis_image, app_image


@pytest.fixture
def network():
    """A network of its own, in which containers find each other by name."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    docker("network", "create", name)
    yield name
    docker("network", "rm", name)


@pytest.fixture
def start(network):
    """Factory: start(image, "--name", "x", ..., command=[]) gives a running Container in `network`."""
    started = []

    def start_one(image, *options, command=()):
        container = Container(docker("run", "--detach", "--network", network, *options, image, *command))
        started.append(container)
        return container

    yield start_one
    for container in reversed(started):
        docker("rm", "--force", container.name)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """A CA of our own and a certificate for the name `hosted`, readable by every user of a container."""
    directory = tmp_path_factory.mktemp("certs")
    certificates = Certificates(directory)
    certificates.certificate("hosted")
    for path in (directory, *directory.iterdir()):
        path.chmod(0o755)
    return certificates


@pytest.fixture
def start_hosted(start, redis_image, certificates):
    """Factory: a Redis by the name `hosted` that speaks TLS only."""
    def start_one():
        return start(redis_image, "--network-alias", "hosted", "--volume", f"{certificates.directory}:/certs:ro",
                     command=TLS_ONLY)
    return start_one
