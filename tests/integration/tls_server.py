"""A TLS server that only listens: what a client says to it, decrypted, is kept. For peers that must be refused."""

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
