"""CLIENT LIST, KILL and UNBLOCK speak of the clients of respgate, of all its workers, and never touch the connections
that other clients share."""

import re

import pytest
import redis

from backend_view import backend_ids, client_lines, wait_blocked
from harness import ErrorReply, WireError, encode, wait_until

WORKERS = pytest.mark.parametrize("workers", [1, 2])


@pytest.fixture
def start_gate(start_respgate, redis_server):
    """Factory: respgate with so many workers."""
    return lambda workers: start_respgate(redis_server, settings={"listen.workers": workers})


def listed(connection, *filters):
    """CLIENT LIST through this connection."""
    return client_lines(connection.call("CLIENT", "LIST", *filters))


def crowd(gate, count):
    """So many clients, each with its own id as its name."""
    clients = {}
    for _ in range(count):
        connection = gate.connect()
        number = connection.call("CLIENT", "ID")
        assert connection.call("CLIENT", "SETNAME", f"client-{number}") == "OK"
        clients[number] = connection
    assert len(clients) == count, "two clients have one id"
    return clients


def is_closed(connection):
    """True when respgate closed it, without a word."""
    try:
        return connection.at_eof()
    except WireError:
        return False


# ---- trap 19: who looks itself up ----

@pytest.mark.threads
@WORKERS
def test_workers_find_each_other_by_name_in_client_list(redis_server, start_gate, workers):
    """As BullMQ's getWorkers does: name, then CLIENT LIST, while the worker waits in BZPOPMIN."""
    gate = start_gate(workers)
    names = [f"bull:cXVldWU=:w:{number}" for number in range(6)]
    for name in names:
        worker = gate.connect()
        worker.send(encode("CLIENT", "SETNAME", name) + encode("BZPOPMIN", "bull:queue:marker", 0))
        assert worker.read_value() == "OK"
    wait_blocked(redis_server, 6)
    found = {line["name"]: line for line in listed(gate.connect())}
    assert set(names) <= set(found)
    for name in names:
        assert found[name]["cmd"] == "bzpopmin" and "b" in found[name]["flags"]


def test_a_worker_finds_its_own_address_by_its_name(start_gate):
    """As RQ does with redis-py: client_setname, client_list, the entry with that name, its addr."""
    gate = start_gate(1)
    with redis.Redis(port=gate.port, single_connection_client=True) as client:
        client.client_setname("rq-worker-1")
        entries = [entry for entry in client.client_list() if entry["name"] == "rq-worker-1"]
        assert len(entries) == 1
        host, port = client.connection._sock.getsockname()
        assert entries[0]["addr"] == f"{host}:{port}"
        assert entries[0]["laddr"] == f"127.0.0.1:{gate.port}"
        assert client.client_info()["addr"] == entries[0]["addr"]


@pytest.mark.redis7
def test_client_list_and_info_have_the_fields_of_redis_in_their_order(redis_server, respgate):
    with redis_server.connect() as direct, respgate.connect() as client:
        for command in (("CLIENT", "LIST"), ("CLIENT", "INFO")):
            theirs, ours = (peer.call(*command).decode().splitlines()[0] for peer in (direct, client))
            names = re.compile(r"([a-z-]+)=")
            assert names.findall(ours) == names.findall(theirs)


@pytest.mark.threads
@WORKERS
def test_client_list_filters(start_gate, workers):
    gate = start_gate(workers)
    clients = crowd(gate, 6)
    ids = list(clients)
    assert clients[ids[0]].call("SUBSCRIBE", "a") == [b"subscribe", b"a", 1]
    asking = clients[ids[1]]
    assert sorted(int(line["id"]) for line in listed(asking)) == sorted(ids)
    assert [int(line["id"]) for line in listed(asking, "TYPE", "pubsub")] == [ids[0]]
    assert ids[0] not in {int(line["id"]) for line in listed(asking, "TYPE", "NORMAL")}
    assert sorted(int(line["id"]) for line in listed(asking, "ID", ids[2], ids[3], 999_999)) == sorted(ids[2:4])
    assert listed(asking, "TYPE", "master") == [] and listed(asking, "TYPE", "replica") == []


ERRORS = [("CLIENT", "LIST", "TYPE", "x"), ("CLIENT", "LIST", "ID", "x"), ("CLIENT", "LIST", "NOSUCH"),
          ("CLIENT", "LIST", "TYPE"), ("CLIENT", "KILL", "ID", "x"), ("CLIENT", "KILL", "ID", 0),
          ("CLIENT", "KILL", "TYPE", "x"), ("CLIENT", "KILL", "NOSUCH", "x"), ("CLIENT", "KILL", "ID", 1, "SKIPME"),
          ("CLIENT", "KILL", "SKIPME", "maybe"), ("CLIENT", "KILL", "1.2.3.4:5"), ("CLIENT", "KILL"),
          ("CLIENT", "KILL", "ADDR", "1.2.3.4:5"), ("CLIENT", "UNBLOCK", "x"), ("CLIENT", "UNBLOCK", 1, "NOSUCH"),
          ("CLIENT", "UNBLOCK", 999_999_999), ("CLIENT", "UNBLOCK"), ("CLIENT", "UNBLOCK", 1, "ERROR", "x"),
          ("CLIENT",), ("CLIENT", "NOSUCH"), ("CLIENT", "SETNAME", "a b"), ("CLIENT", "SETNAME"),
          ("CLIENT", "KILL", "ID", 1, "ADDR", "x", "TYPE")]


@pytest.mark.parametrize("command", ERRORS, ids=[" ".join(map(str, command)) for command in ERRORS])
def test_mistakes_in_client_commands_get_the_words_of_redis(redis_server, respgate, command):
    assert respgate.connect().call(*command) == redis_server.call(*command)


# ---- trap 11: CLIENT KILL ----

@pytest.mark.threads
@WORKERS
def test_kill_type_normal_skipme_closes_our_clients_and_not_one_backend_connection(redis_server, start_gate, workers):
    gate = start_gate(workers)
    clients = crowd(gate, 10)
    listener = gate.connect()
    assert listener.call("SUBSCRIBE", "a") == [b"subscribe", b"a", 1]
    killer = gate.connect()
    for client in (*clients.values(), killer):
        assert client.call("PING") == "PONG"
    with redis_server.connect() as direct:
        assert direct.call("PING") == "PONG"
        lanes = backend_ids(redis_server)
        assert killer.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") == 10
        assert all(is_closed(client) for client in clients.values())
        assert killer.call("SET", "k", "v") == "OK"
        assert backend_ids(redis_server) == lanes
        assert direct.call("PUBLISH", "a", "m") == 1 and listener.read_value() == [b"message", b"a", b"m"]
    assert gate.connect().call("GET", "k") == b"v"


@pytest.mark.threads
@WORKERS
@pytest.mark.parametrize("how", ["ID", "ADDR", "old form"])
def test_kill_one_client_closes_that_one_only(start_gate, workers, how):
    gate = start_gate(workers)
    clients = crowd(gate, 8)
    killer = gate.connect()
    for number in list(clients)[::2]:
        line = listed(killer, "ID", number)[0]
        if how == "old form":
            assert killer.call("CLIENT", "KILL", line["addr"]) == "OK"
            assert killer.call("CLIENT", "KILL", line["addr"]) == "ERR No such client"
        else:
            filter_ = ("ID", number) if how == "ID" else ("ADDR", line["addr"])
            assert killer.call("CLIENT", "KILL", *filter_) == 1
            assert killer.call("CLIENT", "KILL", *filter_) == 0
        assert is_closed(clients.pop(number))
    for client in clients.values():
        assert client.call("PING") == "PONG"


def test_kill_by_user_counts_the_clients_of_that_user(respgate):
    one, two = respgate.connect(), respgate.connect()
    assert one.call("PING") == "PONG" and two.call("CLIENT", "KILL", "USER", "somebody") == 0
    assert two.call("CLIENT", "KILL", "USER", "default") == 1 and is_closed(one)


@pytest.mark.threads
@WORKERS
def test_who_kills_itself_gets_the_answer_first(start_gate, workers):
    gate = start_gate(workers)
    bystander = gate.connect()
    client = gate.connect()
    number = client.call("CLIENT", "ID")
    assert client.call("CLIENT", "KILL", "ID", number) == 0, "SKIPME is yes unless said otherwise"
    assert client.call("CLIENT", "KILL", "ID", number, "SKIPME", "no") == 1
    assert client.at_eof()
    client = gate.connect()
    address = "%s:%d" % client.socket.getsockname()
    assert client.call("CLIENT", "KILL", address) == "OK" and client.at_eof()
    assert bystander.call("PING") == "PONG"


@pytest.mark.threads
@WORKERS
def test_killing_a_blocked_client_leaves_the_element(redis_server, start_gate, workers):
    gate = start_gate(workers)
    waiting, killer = gate.connect(), gate.connect()
    number = waiting.call("CLIENT", "ID")
    waiting.command("BLPOP", "l", 0)
    wait_blocked(redis_server, 1)
    assert killer.call("CLIENT", "KILL", "ID", number) == 1
    assert is_closed(waiting)
    wait_blocked(redis_server, 0)
    assert killer.call("RPUSH", "l", "stays") == 1 and killer.call("LLEN", "l") == 1


@WORKERS
def test_killing_a_client_with_requests_in_flight_disturbs_nobody(redis_server, start_gate, workers):
    gate = start_gate(workers)
    clients = crowd(gate, 6)
    victim, killer = gate.connect(), gate.connect()
    number = victim.call("CLIENT", "ID")
    for client in clients.values():
        assert client.call("PING") == "PONG"
    redis_server.pause()
    victim.send(encode("SET", "v", "x" * 1000) * 50)
    for client in clients.values():
        client.send(encode("ECHO", "e") * 50)
    assert killer.call("CLIENT", "KILL", "ID", number) == 1
    redis_server.resume()
    for client in clients.values():
        assert [client.read_value() for _ in range(50)] == [b"e"] * 50
    assert is_closed(victim)


def test_an_id_of_a_backend_connection_kills_nothing(redis_server, respgate):
    killer = respgate.connect()
    assert killer.call("PING") == "PONG"
    lanes = backend_ids(redis_server)
    mine = killer.call("CLIENT", "ID")
    for number in lanes - {str(mine)}:
        assert killer.call("CLIENT", "KILL", "ID", number) == 0
    assert lanes <= backend_ids(redis_server)


# ---- UNBLOCK ----

@pytest.mark.threads
@WORKERS
def test_unblock_ends_the_wait_of_that_client_only(redis_server, start_gate, workers):
    gate = start_gate(workers)
    clients = crowd(gate, 6)
    for client in clients.values():
        client.command("BLPOP", "l", 0)
    wait_blocked(redis_server, 6)
    asking = gate.connect()
    first, second, *others = clients
    assert asking.call("CLIENT", "UNBLOCK", first) == 1
    assert clients[first].read_reply() == b"*-1\r\n"
    assert asking.call("CLIENT", "UNBLOCK", second, "ERROR") == 1
    assert clients[second].read_reply() == b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"
    wait_blocked(redis_server, 4)
    assert asking.call("CLIENT", "UNBLOCK", first) == 0, "it does not wait any more"
    assert asking.call("RPUSH", "l", *range(4)) == 4
    assert sorted(int(clients[number].read_value()[1]) for number in others) == [0, 1, 2, 3]
    assert clients[first].call("PING") == "PONG" and clients[second].call("PING") == "PONG"


@pytest.mark.threads
def test_unblock_by_someone_who_is_pinned_himself(redis_server, start_gate):
    gate = start_gate(2)
    waiting, asking = gate.connect(), gate.connect()
    number = waiting.call("CLIENT", "ID")
    waiting.command("XREAD", "BLOCK", 0, "STREAMS", "s", "$")
    wait_blocked(redis_server, 1)
    assert asking.call("WATCH", "k") == "OK"
    assert asking.call("CLIENT", "UNBLOCK", number, "TIMEOUT") == 1
    assert waiting.read_reply() == b"*-1\r\n"


def test_the_id_of_a_backend_connection_unblocks_nobody(redis_server, respgate):
    spacers = [respgate.connect() for _ in range(20)]
    waiting = spacers.pop()
    waiting.command("BLPOP", "l", 0)
    wait_blocked(redis_server, 1)
    asking = respgate.connect()
    ours = {line["id"] for line in listed(asking)}
    for number in backend_ids(redis_server) - ours:
        assert asking.call("CLIENT", "UNBLOCK", number) == 0
    assert waiting.is_silent(0.05)


# ---- names and ids ----

@pytest.mark.threads
@WORKERS
def test_ids_grow_and_are_never_used_again(start_gate, workers):
    gate = start_gate(workers)
    seen = []
    for _ in range(30):
        with gate.connect() as client:
            seen.append(client.call("CLIENT", "ID"))
            assert client.call("CLIENT", "ID") == seen[-1]
    assert seen == sorted(set(seen))


@pytest.mark.threads
def test_a_name_belongs_to_one_client(respgate):
    one, two = respgate.connect(), respgate.connect()
    assert one.call("CLIENT", "SETNAME", "one") == "OK"
    assert one.call("CLIENT", "GETNAME") == b"one" and two.call("CLIENT", "GETNAME") is None
    assert isinstance(one.call("CLIENT", "SETNAME", "a\nb"), ErrorReply)
    assert one.call("CLIENT", "GETNAME") == b"one"
    assert one.call("CLIENT", "SETNAME", "") == "OK" and one.call("CLIENT", "GETNAME") is None


def test_operators_see_the_name_of_a_pinned_client_on_its_backend_connection(redis_server, respgate):
    for name in ("first", "second"):
        with respgate.connect() as client:
            assert client.call("CLIENT", "SETNAME", name) == "OK"
            client.command("BLPOP", "l", 0)
            wait_blocked(redis_server, 1)
            assert [line["name"] for line in client_lines(redis_server.call("CLIENT", "LIST")) if
                    "b" in line["flags"]] == [name]
        wait_until(lambda: redis_server.call("CLIENT", "LIST").count(b"flags=b") == 0, what="it to be gone")
