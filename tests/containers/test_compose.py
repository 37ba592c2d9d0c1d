"""deploy/compose.yaml as shipped, and what its application sees when its only Redis is paused, cut off and stopped."""

import pytest

from engine import wait_until
from stack import FAULTS, FILES, UNAVAILABLE, UNKNOWN, Stack, counts, failures, readyz


@pytest.fixture(scope="module")
def stack(images):
    """One Redis, nothing to fall back to."""
    with Stack(FILES[:1]) as stack:
        yield stack


def test_the_application_counts_with_nothing_but_redis_url(stack):
    environment = stack.service("app").inspect()["Config"]["Env"]
    assert [entry for entry in environment if "REDIS" in entry or "RESPGATE" in entry] == [
        "REDIS_URL=redis://respgate:6380/0"]
    lines = stack.wait_for_counts(0, 5)
    assert counts(lines)[:5] == [1, 2, 3, 4, 5] and not failures(lines)
    assert stack.service("respgate").health() == stack.service("redis").health() == "healthy"
    assert stack.status()["backend"] == "docker"
    assert readyz() == (200, "[+] backend docker: up\n[+] selected docker: first\nready\n")


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_it_says_that_the_redis_is_gone_until_it_is_back(stack, fault):
    redis, gate = stack.service("redis"), stack.service("respgate")
    before = len(stack.app_lines())
    fault.make(redis)
    try:
        wait_until(lambda: UNAVAILABLE in stack.app_lines(before), 20, lambda: f"refusals: {stack.app_lines(before)}")
        code, text = readyz()
        assert code == 503 and "[-] backend docker: " in text and "[-] selected none: " in text, text
        code, output = gate.execute("respgate", "health")
        assert code == 1 and output.startswith("not ready: "), output
        gate.wait_for_health("unhealthy")
        lines = stack.app_lines(before)
    finally:
        fault.mend(redis)
    first, *others = failures(lines)
    assert first == UNAVAILABLE or UNKNOWN.fullmatch(first), first
    assert set(others) <= {UNAVAILABLE}
    stack.wait_for_backend("docker")
    stack.wait_for_counts(before + len(lines))
    gate.wait_for_health("healthy")
