"""Who a client is: auth = none, password and backend, each with the words of a Redis that is set up the same way. A
failed AUTH changes nothing, what is behind an AUTH in a pipeline waits for its verdict, and nobody acts as another."""

import pytest

from backend_view import play
from harness import ErrorReply, WireError, encode, wait_until

NOAUTH = "NOAUTH Authentication required."
WRONGPASS = "WRONGPASS invalid username-password pair or user is disabled."
USERS = ["default on >secret ~* &* +@all", "bob on >bobpw ~bob:* &* +@all", "amy on >amypw ~amy:* &* +@all",
         "off off >offpw ~* +@all"]


@pytest.fixture
def guarded(start_redis):
    """A Redis with a password and users."""
    return start_redis(config={"user": USERS})


@pytest.fixture
def start_gate(start_redis, start_respgate, guarded):
    """Factory: respgate with this [listen] auth in front of a Redis that demands what that mode passes on."""
    def start(auth, **settings):
        settings = {key.replace("__", "."): value for key, value in settings.items()}
        if auth == "none":
            return start_respgate(guarded.url(password="secret"), settings={"listen.auth": auth, **settings})
        if auth == "backend":
            return start_respgate(guarded, settings={"listen.auth": auth, **settings})
        users = {"listen.password": "secret", "user.bob.password": "bobpw", "user.amy.password": "amypw"}
        return start_respgate(guarded.url(password="secret"), settings={"listen.auth": auth, **users, **settings})
    return start


GUARDED_MODES = pytest.mark.parametrize("auth", ["password", "backend"])


# ---- auth = none ----

@pytest.mark.threads
def test_without_auth_a_client_needs_no_login_and_auth_speaks_as_a_redis_without_a_password(redis_server, start_gate):
    client = start_gate("none").connect()
    assert client.call("SET", "k", "v") == "OK"
    for command in (("AUTH", "x"), ("AUTH", "default", "x"), ("AUTH", "nobody", "x"), ("AUTH",),
                    ("AUTH", "a", "b", "c"), ("HELLO", 3, "AUTH", "nobody", "x")):
        assert client.call(*command) == redis_server.call(*command)
    assert client.call("GET", "k") == b"v"


def test_the_password_in_the_url_is_used_towards_the_backend_and_not_shown(start_gate, guarded):
    gate = start_gate("none")
    assert gate.connect().call("PING") == "PONG"
    assert "secret" not in gate.log()
    assert isinstance(guarded.call("PING"), ErrorReply)


# ---- before a login ----

@pytest.mark.threads
@pytest.mark.redis7
@GUARDED_MODES
def test_before_a_login_only_a_few_commands_are_taken(start_gate, guarded, auth):
    gate = start_gate(auth)
    for command in (("GET", "k"), ("PING",), ("SELECT", 1), ("MULTI",), ("CLIENT", "ID"), ("CLIENT", "SETNAME", "n"),
                    ("SUBSCRIBE", "a"), ("BLPOP", "l", 0), ("EVAL", "return 1", 0), ("SHUTDOWN",), ("MONITOR",),
                    ("WAIT", 0, 0), ("CLIENT", "KILL", "TYPE", "normal"), ("CLIENT", "LIST"), ("HELLO",), ("HELLO", 3),
                    ("RESET",), ("EXEC",), ("UNSUBSCRIBE",), ("XREAD", "STREAMS", "s", 0)):
        with gate.connect() as client, guarded.connect() as direct:
            assert client.call(*command) == direct.call(*command), command
    with gate.connect() as client:
        for command in (("NOSUCH",), ("GET",), ("SHUTDOWN", "x", "y", "z")):
            assert client.call(*command) == NOAUTH, "a stranger learns nothing of the command table"
        assert client.call("QUIT") == "OK" and client.at_eof()


@GUARDED_MODES
@pytest.mark.parametrize("request_", [b"*11\r\n", b"*2\r\n$16385\r\n", b"*1\r\n$4\r\nAUTH\r\n*11\r\n",
                                      b"*10\r\n$16384\r\n"])
def test_before_a_login_arguments_are_few_and_short(start_gate, guarded, auth, request_):
    answers = []
    for peer in (guarded, start_gate(auth)):
        with peer.connect() as connection:
            connection.send(request_)
            if request_.startswith(b"*10"):
                assert connection.is_silent(0.1)
                continue
            data = b""
            while connection.receive(connection.deadline(None)):
                data = bytes(connection.splitter.buffer)
            answers.append(data)
    assert not answers or answers[1] == answers[0] and b"unauthenticated" in answers[0]


@GUARDED_MODES
def test_after_a_login_arguments_may_be_many_and_long(start_gate, auth):
    client = start_gate(auth).connect()
    assert client.call("AUTH", "secret") == "OK"
    assert client.call("RPUSH", "l", *range(100)) == 100
    assert client.call("SET", "k", "v" * 20000) == "OK"


@pytest.mark.threads
@GUARDED_MODES
def test_who_does_not_log_in_is_closed_and_who_does_stays(start_gate, auth):
    gate = start_gate(auth, listen__login_timeout="1s")
    silent, trying, good = gate.connect(), gate.connect(), gate.connect()
    assert good.call("AUTH", "secret") == "OK"
    assert trying.call("AUTH", "wrong") == WRONGPASS
    assert silent.at_eof() and trying.at_eof()
    assert good.call("PING") == "PONG"
    gate.wait_for_log("listening")


# ---- logging in ----

@pytest.mark.threads
@GUARDED_MODES
def test_each_user_logs_in_with_his_own_password_only(start_gate, guarded, auth):
    gate = start_gate(auth)
    for command in (("AUTH", "secret"), ("AUTH", "default", "secret"), ("AUTH", "bob", "bobpw"),
                    ("AUTH", "amy", "amypw"), ("AUTH", "wrong"), ("AUTH", "bob", "amypw"),
                    ("AUTH", "bob", "secret"), ("AUTH", "nobody", "x"), ("AUTH", "bob", ""), ("AUTH", ""),
                    ("AUTH", "bob", "bobpw2"), ("AUTH", "bob", "bobp"),
                    ("AUTH", "off", "offpw"), ("AUTH", "Bob", "bobpw"), ("AUTH", b"bob\0", "bobpw"), ("AUTH",),
                    ("AUTH", "bob", "bobpw", "x")):
        with gate.connect() as client, guarded.connect() as direct:
            assert client.call(*command) == direct.call(*command), command
            if command[1:2] != () and client.call("CLIENT", "ID") != NOAUTH:
                assert not isinstance(direct.call("CLIENT", "ID"), ErrorReply), command
            else:
                assert direct.call("CLIENT", "ID") == NOAUTH, command


@pytest.mark.threads
@GUARDED_MODES
@pytest.mark.parametrize("resp", [2, 3])
def test_hello_logs_in_and_names_the_client(start_gate, guarded, auth, resp):
    gate = start_gate(auth)
    client = gate.connect()
    assert client.call("HELLO", resp, "AUTH", "bob", "wrong") == WRONGPASS
    assert client.call("GET", "k") == NOAUTH
    reply = client.call("HELLO", resp, "AUTH", "bob", "bobpw", "SETNAME", "worker")
    assert (reply[b"proto"] if resp == 3 else reply[reply.index(b"proto") + 1]) == resp
    assert client.call("CLIENT", "GETNAME") == b"worker"
    assert b"user=bob " in client.call("CLIENT", "INFO")
    client.command("GET", "bob:none")
    assert client.read_reply() == (b"_\r\n" if resp == 3 else b"$-1\r\n")


@pytest.mark.redis7
@GUARDED_MODES
def test_a_hello_that_fails_has_the_words_of_redis_and_logs_nobody_in(start_gate, guarded, auth):
    """All or nothing, as servers from 7.2 on; 7.0 keeps the login when what stands behind it is wrong."""
    gate = start_gate(auth)
    for command in (("HELLO", 3, "AUTH", "bob", "bobpw", "SETNAME", "a b"),
                    ("HELLO", 3, "AUTH", "bob", "bobpw", "NOSUCH"), ("HELLO", 9, "AUTH", "bob", "bobpw"),
                    ("HELLO", 3, "SETNAME", "n"), ("HELLO", 3, "AUTH", "bob")):
        with gate.connect() as client, guarded.connect() as direct:
            assert client.call(*command) == direct.call(*command), command
            assert client.call("GET", "bob:k") == NOAUTH
            assert client.call("AUTH", "bob", "bobpw") == "OK" and client.call("CLIENT", "GETNAME") is None


# ---- trap 16: a wrong AUTH in the middle of a pipeline ----

@pytest.mark.threads
@pytest.mark.parametrize("auth", ["none", "password", "backend"])
def test_a_wrong_auth_in_the_middle_of_a_pipeline_leaves_the_user_as_he_was(start_gate, auth):
    client = start_gate(auth).connect()
    if auth != "none":
        assert client.call("AUTH", "secret") == "OK"
    block = encode("SET", "a", 1) + encode("AUTH", "bob", "wrong") + encode("GET", "a") + encode("AUTH", "no", "x") + \
        encode("SET", "a", 2) + encode("GET", "a")
    client.send(block * 10)
    for _ in range(10):
        assert [client.read_value() for _ in range(6)] == ["OK", WRONGPASS, b"1", WRONGPASS, "OK", b"2"]


@pytest.mark.threads
@GUARDED_MODES
def test_a_verdict_is_never_put_off_however_often_a_login_fails(start_gate, auth):
    gate = start_gate(auth, fallback__queue_timeout="300ms")
    client = gate.connect()
    for _ in range(20):
        assert client.call("AUTH", "bob", "wrong") == WRONGPASS
    assert client.call("AUTH", "bob", "bobpw") == "OK"


@pytest.mark.threads
@GUARDED_MODES
def test_commands_behind_an_auth_in_one_write_wait_for_its_verdict(start_gate, auth):
    gate = start_gate(auth)
    good, bad = gate.connect(), gate.connect()
    good.send(encode("GET", "k") + encode("AUTH", "secret") + encode("SET", "k", 1) + encode("GET", "k"))
    assert [good.read_value() for _ in range(4)] == [NOAUTH, "OK", "OK", b"1"]
    bad.send(encode("AUTH", "wrong") + encode("SET", "k", 2) + encode("AUTH", "secret") + encode("GET", "k"))
    assert [bad.read_value() for _ in range(4)] == [WRONGPASS, NOAUTH, "OK", b"1"]


@GUARDED_MODES
def test_reset_forgets_the_user(start_gate, auth):
    client = start_gate(auth).connect()
    client.send(encode("AUTH", "bob", "bobpw") + encode("RESET") + encode("GET", "bob:k") + encode("AUTH", "secret")
                + encode("GET", "k"))
    assert [client.read_value() for _ in range(5)] == ["OK", "RESET", NOAUTH, "OK", None]


@GUARDED_MODES
def test_a_wrong_auth_while_watching_leaves_user_and_watch_as_they_were(start_gate, auth):
    client = start_gate(auth).connect()
    assert client.call("AUTH", "secret") == "OK"
    assert client.call("WATCH", "k") == "OK"
    assert client.call("AUTH", "bob", "wrong") == WRONGPASS
    assert client.call("MULTI") == "OK" and client.call("SET", "k", 1) == "QUEUED" and client.call("EXEC") == ["OK"]
    assert client.call("GET", "k") == b"1"


def test_an_auth_inside_multi_is_refused_and_makes_exec_fail_when_the_users_are_our_own(start_gate):
    client = start_gate("password").connect()
    assert client.call("AUTH", "secret") == "OK"
    assert client.call("MULTI") == "OK" and client.call("SET", "k", 1) == "QUEUED"
    assert isinstance(client.call("AUTH", "bob", "bobpw"), ErrorReply)
    assert client.call("EXEC").code == "EXECABORT"
    assert client.call("EXISTS", "k") == 0 and b"user=default " in client.call("CLIENT", "INFO")


@pytest.mark.parametrize("login", [("AUTH", "bob", "bobpw"), ("AUTH", "bob", "wrong"),
                                   ("HELLO", 2, "AUTH", "bob", "x")])
def test_an_auth_inside_multi_is_queued_when_the_backend_decides(start_gate, guarded, login):
    gate = start_gate("backend")
    answers = []
    for peer in (guarded, gate):
        with peer.connect() as connection:
            answers.append(play(connection, ("AUTH", "secret"), ("SET", "k", 0), ("MULTI",), ("INCR", "k"), login,
                                ("ACL", "WHOAMI"), ("EXEC",), ("ACL", "WHOAMI")))
    assert answers[1] == answers[0]
    with gate.connect() as other:
        assert other.call("AUTH", "secret") == "OK" and other.call("ACL", "WHOAMI") == b"default"


# ---- auth = backend: users and their connections ----

@pytest.mark.threads
def test_each_user_acts_with_his_own_rights_and_on_connections_of_his_own(start_gate, guarded):
    gate = start_gate("backend")
    clients = {name: [gate.connect() for _ in range(3)] for name in ("bob", "amy")}
    for name, connections in clients.items():
        for client in connections:
            assert client.call("AUTH", name, f"{name}pw") == "OK"
    for _ in range(20):
        for name, connections in clients.items():
            for client in connections:
                client.send(encode("SET", f"{name}:k", name) + encode("GET", "other:k") + encode("ACL", "WHOAMI"))
        for name, connections in clients.items():
            for client in connections:
                values = [client.read_value() for _ in range(3)]
                assert values[0] == "OK" and values[1].code == "NOPERM" and values[2] == name.encode()


def test_pins_of_one_user_are_never_given_to_another(start_gate):
    gate = start_gate("backend")
    for _ in range(3):
        for name in ("bob", "amy", "default"):
            with gate.connect() as client:
                assert client.call("AUTH", name, "secret" if name == "default" else f"{name}pw") == "OK"
                assert client.call("MULTI") == "OK" and client.call("ACL", "WHOAMI") == "QUEUED"
                assert client.call("EXEC") == [name.encode()]


@pytest.mark.threads
def test_switching_users_on_one_connection(start_gate):
    client = start_gate("backend").connect()
    script = b"".join(encode("AUTH", name, f"{name}pw") + encode("ACL", "WHOAMI") for name in ("bob", "amy") * 10)
    client.send(script)
    for name in ("bob", "amy") * 10:
        assert client.read_value() == "OK" and client.read_value() == name.encode()


def test_a_backend_without_a_password_lets_clients_in_as_it_would_itself(redis_server, start_respgate):
    gate = start_respgate(redis_server, settings={"listen.auth": "backend"})
    for command in (("PING",), ("AUTH", "x"), ("AUTH", "default", "x"), ("AUTH", "no", "x"), ("GET", "k"), ("HELLO",)):
        with gate.connect() as client, redis_server.connect() as direct:
            ours, theirs = client.call(*command), direct.call(*command)
            assert ours == theirs or isinstance(theirs, list) and len(ours) == len(theirs)


# ---- trap 23: ACL DELUSER ----

def everybody_is_out(clients):
    """True when all these connections have been closed."""
    try:
        return all(client.at_eof(0.01) for client in clients)
    except WireError:
        return False


@pytest.mark.threads
@pytest.mark.parametrize("through_respgate", [True, False])
def test_a_deleted_user_is_out_and_stays_out(start_gate, guarded, through_respgate):
    gate = start_gate("backend")
    bobs, amy = [gate.connect() for _ in range(3)], gate.connect()
    for bob in bobs:
        assert bob.call("AUTH", "bob", "bobpw") == "OK" and bob.call("SET", "bob:k", 1) == "OK"
    assert amy.call("AUTH", "amy", "amypw") == "OK"
    with (gate if through_respgate else guarded).connect() as admin:
        assert admin.call("AUTH", "secret") == "OK"
        assert admin.call("ACL", "DELUSER", "bob") == 1
    wait_until(lambda: all(line["user"] != "bob" for line in backend_as_admin(guarded)), what="bob to go")
    for bob in bobs:
        try:
            reply = bob.call("GET", "bob:k")
            assert isinstance(reply, ErrorReply), "the deleted user still reads"
        except (WireError, OSError):
            pass  # closed, as Redis closes the connections of a deleted user
    fresh = gate.connect()
    assert fresh.call("AUTH", "bob", "bobpw") == WRONGPASS
    assert amy.call("SET", "amy:k", 1) == "OK"


def backend_as_admin(server):
    """CLIENT LIST of a Redis that demands a login."""
    with server.connect() as admin:
        assert admin.call("AUTH", "secret") == "OK"
        text = admin.call("CLIENT", "LIST").decode()
    return [dict(field.partition("=")[::2] for field in line.split(" ")) for line in text.splitlines()]


def test_a_changed_password_counts_for_the_next_login(start_gate, guarded):
    gate = start_gate("backend")
    admin, bob = gate.connect(), gate.connect()
    assert admin.call("AUTH", "secret") == "OK" and bob.call("AUTH", "bob", "bobpw") == "OK"
    assert admin.call("ACL", "SETUSER", "bob", "<bobpw", ">new") == "OK"
    assert gate.connect().call("AUTH", "bob", "new") == "OK"
    assert gate.connect().call("AUTH", "bob", "bobpw") == WRONGPASS


def test_nothing_of_a_login_is_logged(start_gate):
    gate = start_gate("backend", log__level="debug")
    client = gate.connect()
    play(client, ("AUTH", "bob", "bobpw"), ("AUTH", "amy", "amywrong"), ("HELLO", 3, "AUTH", "amy", "amypw"))
    assert not any(word in gate.log() for word in ("bobpw", "amywrong", "amypw"))
