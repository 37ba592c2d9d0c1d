"""A real redis-server that behaves like a hosted Upstash database: TLS only, ACL users, commands that are not there,
idle connections closed. What only the real one does (its error texts, billing) is left to scripted fakes."""

from certs import certificates
from harness import RedisServer
from wire import RespConnection

PASSWORD = "upstash-test-password"
READ_ONLY_PASSWORD = "upstash-test-ro-password"
GONE = ("ASKING BGREWRITEAOF BGSAVE CLUSTER DEBUG FAILOVER LASTSAVE LATENCY LCS LOLWUT MIGRATE MODULE MOVE OBJECT PFDEBUG "
        "PFSELFTEST PSYNC READONLY READWRITE REPLCONF REPLICAOF RESTORE-ASKING ROLE SAVE SHUTDOWN SLAVEOF SLOWLOG SORT "
        "SORT_RO SPUBLISH SSUBSCRIBE SUNSUBSCRIBE SWAPDB SYNC XSETID").split()
DEFAULT_USER = (
    f"default on >{PASSWORD} ~* &* +@all -client +client|id +client|getname +client|setname +client|info +client|list "
    "-config +config|get +config|set -memory +memory|usage -script +script|load +script|exists +script|flush "
    "+script|kill -function +function|load +function|list +function|delete +function|flush +function|kill "
    "+function|stats -acl +acl|whoami +acl|cat +acl|list +acl|users +acl|getuser +acl|genpass +acl|log -xinfo "
    "+xinfo|stream +xinfo|groups +xinfo|consumers")
READ_ONLY_USER = (
    f"default_ro on >{READ_ONLY_PASSWORD} ~* &* -@all +@read +@connection +@transaction +@pubsub -@dangerous -client "
    "+client|id +client|getname +client|setname +info +command +subscribe +unsubscribe +psubscribe +punsubscribe")


class TlsServer(RedisServer):
    """A redis-server that speaks TLS only, with a certificate of certs.py; a plain Unix socket is for the test itself."""

    def __init__(self, directory, kind="good", config=None, client_certificates=False):
        cert, key = certificates().certificate(kind)
        tls = {"tls-cert-file": cert, "tls-key-file": key, "tls-ca-cert-file": certificates().ca,
               "tls-auth-clients": "yes" if client_certificates else "no", "tls-protocols": '"TLSv1.2 TLSv1.3"'}
        super().__init__(directory, unixsocket=True, config={**tls, **(config or {})})

    def config_lines(self):
        """The port is the TLS one."""
        for line in super().config_lines():
            yield f"port 0\ntls-port {self.port}" if line.startswith("port ") else line

    def connect(self, timeout=10.0):
        """Past TLS, for the test's own questions."""
        return RespConnection(str(self.socket_path), timeout)

    def url(self, db=0, user="", password="", host="127.0.0.1"):
        """rediss:// URL."""
        return super().url(db, user, password).replace("redis://", "rediss://").replace("127.0.0.1", host)


class UpstashStandIn(TlsServer):
    """The hosted database."""

    def __init__(self, directory):
        super().__init__(directory, config={
            "databases": 1, "maxclients": 64, "timeout": 5, "proto-max-bulk-len": "10mb",
            "client-query-buffer-limit": "12mb", "enable-debug-command": "no", "enable-module-command": "no",
            "user": [DEFAULT_USER, READ_ONLY_USER], "rename-command": [f'{name} ""' for name in GONE]})

    def login(self):
        """A connection of the test's own, past TLS, logged in."""
        connection = self.connect()
        assert connection.call("AUTH", "default", PASSWORD) == "OK"
        return connection

    def url(self, db=0, user="default", password=PASSWORD, host="127.0.0.1"):
        """rediss:// URL with the token."""
        return super().url(db, user, password, host)
