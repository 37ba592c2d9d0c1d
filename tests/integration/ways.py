"""The ways a Python client reaches respgate, as a fixture: over TCP with one or two workers, over Unix sockets."""

import pytest
import redis

WAYS = ("one worker", "two workers", "unix sockets")


class Application:
    """What an application knows: its REDIS_URL. `redis_server` and `gate` are for what the test does to them."""

    def __init__(self, redis_server, gate, unix_socket):
        self.redis_server = redis_server
        self.gate = gate
        self.unix_socket = unix_socket
        self.clients = []

    def url(self, db=0):
        """REDIS_URL."""
        return f"unix://{self.unix_socket}?db={db}" if self.unix_socket else self.gate.url(db)

    def connect(self, db=0, **options):
        """A redis.Redis that decodes replies; closed when the test is over."""
        client = redis.Redis.from_url(self.url(db), **{"decode_responses": True, **options})
        self.clients.append(client)
        return client

    def connect_once(self, **options):
        """The same on one connection, which a session that has a name of its own needs."""
        return self.connect(**options).client()

    def close(self):
        """Close every connection of every client."""
        for client in self.clients:
            client.close()
            client.connection_pool.disconnect()

    def backend_connections(self):
        """How many connections the backend has, the asking one left out."""
        lines = self.redis_server.call("CLIENT", "LIST").splitlines()
        return sum(b"cmd=client|list" not in line for line in lines)


@pytest.fixture(params=WAYS)
def application(request, start_redis, start_respgate, tmp_path):
    """An Application in front of a fresh Redis, once for each way; with Unix sockets on both sides of respgate."""
    on_unix = request.param == "unix sockets"
    server = start_redis(unixsocket=on_unix)
    unix_socket = tmp_path / "gate.sock" if on_unix else None
    env = {"RESPGATE_LISTEN_UNIX_SOCKET": str(unix_socket)} if on_unix else {}
    settings = {"listen.workers": 2} if request.param == "two workers" else {}
    gate = start_respgate(server.unix_url() if on_unix else server.url(), env=env, settings=settings)
    app = Application(server, gate, unix_socket)
    yield app
    app.close()
