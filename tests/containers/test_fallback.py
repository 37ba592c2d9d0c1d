"""deploy/compose.yaml with a hosted Redis to fall back to, out of a secret file, over TLS with a password."""

import pytest

from engine import ROOT
from stack import CLOSED, FAULTS, FILES, UNKNOWN, Stack, counts, failures, readyz

HOSTED = ROOT / "tests" / "containers" / "compose.hosted.yaml"
FAR = 1_000_000  # the hosted one counts from here, so that a number tells where it was counted


@pytest.fixture(scope="module")
def stack(images, certificates, tmp_path_factory):
    """Both Redis, the hosted one second."""
    secret = tmp_path_factory.mktemp("secret") / "url"
    secret.write_text("rediss://default:secret@hosted:6379\n")
    secret.parent.chmod(0o755)
    with Stack((*FILES, HOSTED), UPSTASH_URL_FILE=str(secret), CERTIFICATES=str(certificates.directory)) as stack:
        code, output = stack.service("hosted").execute("redis-cli", "--tls", "--cacert", "/certs/ca.crt", "--sni", "hosted",
                                                       "-a", "secret", "set", "example:counter", str(FAR))
        assert code == 0 and output.endswith("OK\n"), output
        yield stack


def assert_nothing_lost(lines, fault):
    """Numbers follow each other on either side; one that was under way at the fault may have been counted unseen."""
    here = [number for number in counts(lines) if number < FAR]
    there = [number for number in counts(lines) if number > FAR]
    assert there == list(range(there[0], there[0] + len(there)))
    if not fault.keeps_data:
        here = here[here.index(1):]
    gaps = [later - earlier - 1 for earlier, later in zip(here, here[1:])]
    assert min(gaps) == 0 and sum(gaps) <= len([line for line in lines if UNKNOWN.fullmatch(line)]), here


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_the_application_goes_there_and_back(stack, fault, figure):
    redis, gate = stack.service("redis"), stack.service("respgate")
    stack.wait_for_backend("docker")
    stack.wait_for_counts(len(stack.app_lines()))
    before = len(stack.app_lines())
    stack.wait_for_counts(before)
    fault.make(redis)
    try:
        stack.wait_for_backend("upstash")
        assert stack.status()["why"] == "failover"
        code, text = readyz()
        assert code == 200 and "[-] backend docker: " in text and "[+] selected upstash: failover" in text, text
        assert gate.execute("respgate", "health") == (0, "ready, backend upstash\n")
        stack.wait_for_counts(len(stack.app_lines()))
        assert gate.health() == "healthy"
    finally:
        fault.mend(redis)
    stack.wait_for_backend("docker")
    stack.wait_for_counts(len(stack.app_lines()))
    lines = stack.app_lines(before)
    figure(f"redis {fault}: the application saw {failures(lines)}")
    assert len(failures(lines)) <= 2
    assert all(UNKNOWN.fullmatch(line) or CLOSED.fullmatch(line) for line in failures(lines)), failures(lines)
    assert_nothing_lost(lines, fault)
