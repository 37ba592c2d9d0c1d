"""Fixtures of the integration tests: a Redis, respgate in front of it, and factories for more of either."""

import signal

import pytest

from harness import RedisServer, Respgate


def pytest_configure(config):
    """The markers that tests/run selects by, and a SIGTERM (of its time limit) that still ends what tests started."""
    config.addinivalue_line("markers", "figures: measures time or memory, so it runs on the plain build only")
    config.addinivalue_line("markers", "threads: runs under the thread sanitizer as well, with two workers")
    config.addinivalue_line("markers", "redis7: compares with the words of Redis 7.0, so it runs where there is one")
    signal.signal(signal.SIGTERM, signal.default_int_handler)


FIGURES = pytest.StashKey()


def pytest_sessionstart(session):
    """Where `figure` collects."""
    session.config.stash[FIGURES] = []


def pytest_sessionfinish(session):
    """Of a process that runs some of the tests (pytest-xdist): for the one that prints."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["figures"] = session.config.stash[FIGURES]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Takes them."""
    node.config.stash[FIGURES].extend(getattr(node, "workeroutput", {}).get("figures", []))


def pytest_terminal_summary(terminalreporter, config):
    """The measured figures, one a line, for tests/run to repeat."""
    for line in config.stash[FIGURES]:
        terminalreporter.write_line(f"figure: {line}")


@pytest.fixture
def figure(pytestconfig):
    """figure("idle clients cost 1.6 KiB each (at most 2)"): printed at the end of the run, whatever happened."""
    return pytestconfig.stash[FIGURES].append


def finish_all(steps):
    """Run every step though one fails; then fail with the first failure."""
    failures = []
    for step in steps:
        try:
            step()
        except Exception as failure:  # noqa: BLE001 (the others must still be ended)
            failures.append(failure)
    if failures:
        raise failures[0]


@pytest.fixture
def start_redis(tmp_path):
    """Factory: start_redis(unixsocket=True, config={"requirepass": "s"}) gives a running RedisServer."""
    started = []

    def start(**kwargs):
        server = RedisServer(tmp_path, **kwargs)
        started.append(server)
        return server.start()

    yield start
    finish_all([server.kill for server in reversed(started)])


@pytest.fixture
def redis_server(start_redis):
    """A plain Redis."""
    return start_redis()


@pytest.fixture
def start_respgate(tmp_path, start_redis):
    """Factory: start_respgate(backend, settings={...}); backend is a RedisServer or a URL.

    Depends on start_redis so that respgate ends first, and with its backend still there.
    """
    started = []

    def start(backend, **kwargs):
        gate = Respgate(tmp_path, backend if isinstance(backend, str) else backend.url(), **kwargs)
        started.append(gate)
        return gate.start()

    yield start
    finish_all([gate.finish for gate in reversed(started)])


@pytest.fixture
def respgate(start_respgate, redis_server):
    """respgate with its defaults in front of redis_server."""
    return start_respgate(redis_server)
