"""TLS servers that are not Redis: one that only listens, for peers that must be refused, and one that cuts replies."""

import select
import socket
import ssl
import threading

from certs import certificates


class ListeningTls:
    """Serves with a certificate of certs.py until the block ends. `received` is all application data ever decrypted,
    `names` the server names that clients sent, `handshakes` how many came to their end."""

    def __init__(self, kind="good", version=None, ciphers="DEFAULT:@SECLEVEL=0", plain=b""):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.set_ciphers(ciphers)
        self.context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        if version:
            self.context.maximum_version = version
        self.context.load_cert_chain(*certificates().certificate(kind))
        self.context.sni_callback = self.on_name
        self.plain = plain
        self.received, self.names, self.handshakes = b"", [], 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def on_name(self, _, name, __):
        """Remember it."""
        self.names.append(name)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)

    def serve(self):
        """One connection after another."""
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.settimeout(5)
            try:
                self.talk(client)
            except OSError:
                pass
            finally:
                client.close()

    def talk(self, client):
        """Shake hands, then listen; or say something in plain text at once."""
        if self.plain:
            client.recv(4096)
            client.sendall(self.plain)
            return
        with self.context.wrap_socket(client, server_side=True) as session:
            self.handshakes += 1
            while data := session.recv(4096):
                self.received += data


class CuttingTls(ListeningTls):
    """Speaks TLS in front of a plain Redis. Once `cut_after` is set, the next reply that is longer is passed on up to
    that many bytes; then the connection ends as a process that dies would end it, without TLS's own farewell."""

    def __init__(self, redis_port):
        super().__init__("good")
        self.redis_port = redis_port
        self.cut_after = None
        self.cuts = 0

    def serve(self):
        """Each connection on a thread of its own: lanes and checks come at the same time."""
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.relay, args=(client,), daemon=True).start()

    def relay(self, client):
        """Until either side ends."""
        with socket.create_connection(("127.0.0.1", self.redis_port)) as redis:
            try:
                session = self.context.wrap_socket(client, server_side=True)
            except OSError:
                return
            with session:
                while self.pass_on(session, redis):
                    pass

    def pass_on(self, session, redis):
        """What one side said; False at the end."""
        ready, _, _ = select.select([session, redis], [], [])
        try:
            if session in ready:
                data = session.recv(65536)
                redis.sendall(data)
                return bool(data)
            data = redis.recv(65536)
            if self.cut_after is not None and len(data) > self.cut_after:
                session.sendall(data[:self.cut_after])
                self.cuts += 1
                return False
            session.sendall(data)
            return bool(data)
        except OSError:
            return False
