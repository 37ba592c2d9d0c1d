"""A scripted Redis for tests: answers a login like the real one, everything else as it is told, and keeps a byte log.

    with FakeRedis() as fake:
        fake.on("GET", reply(b"$1\\r\\n", b"x\\r\\n"))     # two writes, the second once the first was read
        fake.once("GET", hold(b"$1\\r\\nx\\r\\n"))          # until fake.release()
        ... fake.url(), fake.connections[0].received ...

A connection has a thread that only reads and logs, and one that acts, so that bytes which come too early are seen too.
"""

import queue
import socket
import struct
import threading

from harness import wait_until
from taken import send_in_pieces

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


# ---- what a rule does: functions of (connection, command) ----

def reply(*pieces):
    """Send these bytes, piece by piece."""
    return lambda connection, _command: connection.send(*pieces)


def hold(*pieces):
    """Send these bytes once the test calls fake.release(); what comes behind waits as well."""
    def act(connection, _command):
        connection.fake.held.set()
        connection.fake.released.wait(30)
        connection.send(*pieces)
    return act


def hold_login():
    """Answer as login_rule does, but only once the test calls fake.release()."""
    def act(connection, command):
        connection.fake.held.set()
        connection.fake.released.wait(30)
        login_rule(connection, command)
    return act


def silence():
    """Never answer."""
    return lambda _connection, _command: None


def close_after(raw=b""):
    """Send these bytes, then close."""
    def act(connection, _command):
        connection.send(raw)
        connection.close()
    return act


def reset_after(raw=b""):
    """Send these bytes, wait until they were read, then reset the connection."""
    def act(connection, _command):
        connection.send(raw, b"")
        connection.reset()
    return act


class Early:
    """Answer when the name of a command and `after` bytes of it have arrived; the rest is read and not answered."""

    def __init__(self, raw, after=0, then_close=False):
        self.raw = raw
        self.after = after
        self.then_close = then_close

    def __call__(self, connection, _command):
        connection.send(self.raw)
        if self.then_close:
            connection.close()


class NotCanonical(Exception):
    """A request that is not the shortest form of an array of bulk strings."""


class RequestReader:
    """Cuts a stream of requests into commands; strict, because a proxy must forward canonical frames only."""

    def __init__(self):
        self.buffer = bytearray()
        self.position = 0
        self.owed = 0
        self.args = []

    def feed(self, data):
        """Yield each command that is complete now, as a list of bytes."""
        self.buffer += data
        while self.step():
            if not self.owed:
                command, self.args = self.args, []
                del self.buffer[: self.position]
                self.position = 0
                yield command

    def step(self):
        """Read one header line, with its bulk; False when it has not arrived whole."""
        end = self.buffer.find(b"\r\n", self.position)
        if end < 0:
            return False
        is_start = not self.args and not self.owed
        number = self.number(b"*" if is_start else b"$", end)
        if is_start:
            self.owed, self.position = number, end + 2
            return True if number else self.refuse()
        if len(self.buffer) < end + 4 + number:
            return False
        if self.buffer[end + 2 + number : end + 4 + number] != b"\r\n":
            self.refuse()
        self.args.append(bytes(self.buffer[end + 2 : end + 2 + number]))
        self.owed, self.position = self.owed - 1, end + 4 + number
        return True

    def number(self, kind, end):
        """The number of the header line that ends here."""
        line = bytes(self.buffer[self.position : end])
        if line[:1] != kind or not line[1:].isdigit() or line[1:] != b"%d" % int(line[1:]):
            self.refuse()
        return int(line[1:])

    def refuse(self):
        """Give up."""
        raise NotCanonical(bytes(self.buffer[max(self.position - 40, 0) : self.position + 80]))


class Connection:
    """One connection to the fake: `received` is every byte it got, `commands` what that was so far."""

    def __init__(self, fake, index, sock):
        self.fake = fake
        self.index = index
        self.socket = sock
        self.received = bytearray()
        self.commands = []
        self.closed = False  # by either side
        self.answered_early = False
        self.resp = 2
        self.user_known = False
        self.todo = queue.Queue()
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self.read, self.act)]
        for thread in self.threads:
            thread.start()

    def names(self):
        """The names of the commands so far, in upper case."""
        return [command[0].upper().decode() for command in self.commands]

    def send(self, *pieces):
        """Send, each piece once the one before it was read by the peer."""
        try:
            send_in_pieces(self.socket, pieces)
        except OSError:
            self.closed = True

    def close(self):
        """Close, politely."""
        self.closed = True
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the peer was faster

    def reset(self):
        """Close with RST; the reading thread must have let go of the socket before."""
        self.closed = True
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.socket.shutdown(socket.SHUT_RD)
        self.threads[0].join(10)
        self.socket.close()

    def read(self):
        """Thread: log what arrives, hand commands to the other thread."""
        reader = RequestReader()
        try:
            while data := self.receive():
                self.received += data
                self.take_commands(reader, data)
        except NotCanonical as request:
            self.fake.not_canonical.append(str(request))
            self.close()
        self.closed = True
        self.todo.put(None)

    def take_commands(self, reader, data):
        """Hand on the commands that are whole now, or one that is to be answered before it is."""
        for command in reader.feed(data):
            self.commands.append(command)
            if not self.answered_early:
                self.todo.put(command)
            self.answered_early = False
        self.look_for_early(reader)

    def receive(self):
        """Bytes, or nothing at the end."""
        self.fake.may_read.wait(30)
        try:
            return self.socket.recv(65536)
        except OSError:
            return b""

    def look_for_early(self, reader):
        """Answer a command that is still arriving, if a rule says so."""
        if self.answered_early or not reader.args:
            return
        rule = self.fake.rule_for(reader.args, peek=True)
        if isinstance(rule, Early) and len(reader.buffer) >= rule.after:
            self.answered_early = True
            self.todo.put(list(reader.args))

    def act(self):
        """Thread: do what the rules say, in the order of the commands."""
        while (command := self.todo.get()) is not None:
            rule = self.fake.rule_for(command)
            try:
                (rule or login_rule)(self, command)
            except OSError:
                self.closed = True


# ---- what a real Redis answers to a login and to idle talk ----

def login_rule(connection, command):
    """AUTH, HELLO, SELECT, CLIENT, PING, as far as a proxy needs them; anything else is unknown."""
    name, args = command[0].upper(), command[1:]
    if connection.fake.password and not connection.user_known and name not in (b"AUTH", b"HELLO"):
        connection.send(b"-NOAUTH Authentication required.\r\n")
    elif name == b"AUTH":
        connection.user_known = args[-1:] == [connection.fake.password]
        wrong = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
        connection.send(b"+OK\r\n" if connection.user_known else wrong)
    elif name == b"HELLO":
        connection.resp = int(args[0]) if args else connection.resp
        connection.send(hello_reply(connection))
    elif name == b"CLIENT":
        connection.send(client_reply(connection, args[0].upper()))
    elif name == b"PING":
        connection.send(b"$%d\r\n%b\r\n" % (len(args[0]), args[0]) if args else b"+PONG\r\n")
    elif name == b"SELECT":
        connection.send(b"+OK\r\n")
    else:
        connection.send(b"-ERR unknown command '%b'\r\n" % command[0])


def hello_reply(connection):
    """The fields of Redis 7.0."""
    fields = (b"$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n"
              b"$5\r\nproto\r\n:%d\r\n$2\r\nid\r\n:%d\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n"
              b"$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n")
    head = b"%7\r\n" if connection.resp == 3 else b"*14\r\n"
    return head + fields % (connection.resp, connection.index + 1)


def client_reply(connection, subcommand):
    """CLIENT ID and INFO; the others succeed."""
    if subcommand == b"ID":
        return b":%d\r\n" % (connection.index + 1)
    if subcommand == b"INFO":
        info = b"id=%d addr=127.0.0.1:1 name= db=0 resp=%d\n" % (connection.index + 1, connection.resp)
        return b"$%d\r\n%b\r\n" % (len(info), info)
    return b"+OK\r\n"


class FakeRedis:
    """Listens on 127.0.0.1; `connections` in the order of their arrival, `password` is what AUTH must give."""

    def __init__(self, password=None):
        self.password = password.encode() if password else None
        self.connections = []
        self.not_canonical = []
        self.rules = {}
        self.next_rules = {}
        self.lock = threading.Lock()
        self.held = threading.Event()
        self.released = threading.Event()
        self.may_read = threading.Event()
        self.may_read.set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.released.set()
        self.may_read.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)
        for connection in self.connections:
            connection.close()
            for thread in connection.threads:
                thread.join(10)
            connection.socket.close()
        assert not self.not_canonical, f"not a canonical request: {self.not_canonical}"

    def accept(self):
        """Thread: take connections until the listener is closed."""
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(Connection(self, len(self.connections), sock))

    def url(self, db=0):
        """What a proxy is configured with."""
        login = f"default:{self.password.decode()}@" if self.password else ""
        return f"redis://{login}127.0.0.1:{self.port}/{db}"

    def on(self, name, rule):
        """From now on, this is what happens to a command of this name."""
        self.rules[name.upper().encode()] = rule

    def once(self, name, rule):
        """The same for the next such command only; several form a line."""
        self.next_rules.setdefault(name.upper().encode(), []).append(rule)

    def rule_for(self, command, peek=False):
        """The rule for a command, None for the built-in answers."""
        name = command[0].upper()
        with self.lock:
            line = self.next_rules.get(name)
            if line:
                return line[0] if peek else line.pop(0)
            return self.rules.get(name)

    def release(self):
        """Let go of what `hold` holds, now and later."""
        self.released.set()

    def wait_held(self):
        """Wait until a `hold` has its command."""
        wait_until(self.held.is_set, what="a command to be held back")

    def received(self, index):
        """All bytes that came on one connection."""
        return bytes(self.connections[index].received)

    def with_command(self, name, count=1, timeout=10.0):
        """Wait for the connection that has got `count` commands of this name."""
        def find():
            return next((c for c in self.connections if c.names().count(name.upper()) >= count), None)
        return wait_until(find, timeout, lambda: f"{name}; got {[c.names() for c in self.connections]}")
