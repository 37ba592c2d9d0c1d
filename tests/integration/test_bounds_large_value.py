"""A value of 512 MiB, the most Redis takes, passes in either direction without being held; one byte more is refused."""

import pytest

from bounds import KIB, MIB, PATIENT, forget_peak, peak
from bulks import BulkReader, digest_of, set_header, set_value
from harness import encode

LARGEST = 512 * MIB
EXTRA_MAX = 1 * MIB


@pytest.mark.figures
def test_512_mib_pass_in_either_direction_within_one_mib(start_respgate, redis_server, figure):
    """SET and GET of 536,870,912 bytes."""
    respgate = start_respgate(redis_server, settings=PATIENT)
    with respgate.connect(60) as client:
        client.call("PING")
        base = forget_peak(respgate.pid)
        assert set_value(client, "large", LARGEST) == "OK"
        extra_set = peak(respgate.pid) - base
        assert redis_server.call("STRLEN", "large") == LARGEST
        base = forget_peak(respgate.pid)
        client.command("GET", "large")
        reader = BulkReader(client)
        assert reader.length == LARGEST
        assert reader.finish() == digest_of(LARGEST)
        extra_get = peak(respgate.pid) - base
        assert client.call("DEL", "large") == 1
    figure(f"a value of 512 MiB: {extra_set / KIB:.0f} KiB more for SET, {extra_get / KIB:.0f} KiB for GET"
           f" (at most {EXTRA_MAX / KIB:.0f})")
    assert max(extra_set, extra_get) <= EXTRA_MAX


def test_one_byte_more_is_refused_at_the_header(respgate, redis_server):
    """In the words of Redis, as soon as the length is there, and nothing of it reaches the backend."""
    with redis_server.connect() as direct:
        direct.send(set_header("large", LARGEST + 1))
        refusal = direct.read_reply()
        assert direct.at_eof()
    assert refusal == b"-ERR Protocol error: invalid bulk length\r\n"
    with respgate.connect() as client:
        client.send(encode("PING") + set_header("large", LARGEST + 1))
        assert client.read_value() == "PONG"
        assert client.read_reply() == refusal
        assert client.at_eof()
    assert redis_server.call("EXISTS", "large") == 0
