"""A small proxy that is wrong on purpose: proof that tagload sees what it must see.

Each client has its own backend connection; every `every`-th reply that passes is mishandled as `fault` says. The faults
are the ways in which proxies have really failed: replies swapped, given to another client, lost, doubled, altered,
invented, or a request sent to another database.
"""

import asyncio
import threading

from wire import ReplySplitter, encode


class WrongProxy:
    """with WrongProxy(redis_port, "swap", every=500) as proxy: ... proxy.port, proxy.done (faults committed)"""

    def __init__(self, backend_port, fault, every):
        self.backend_port = backend_port
        self.fault = getattr(self, f"fault_{fault}") if fault else None
        self.every = every
        self.passed = 0
        self.done = 0
        self.clients = []
        self.port = None
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        assert self.ready.wait(10), "the wrong proxy does not start"
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    def run(self):
        """The thread: serve until stopped, then close everything."""
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        self.loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.loop.close()

    async def serve(self, reader, writer):
        """One client and its backend connection, until either closes."""
        backend_reader, backend_writer = await asyncio.open_connection("127.0.0.1", self.backend_port)
        client = Client(writer, backend_writer)
        self.clients.append(client)
        pumps = [asyncio.ensure_future(self.pump_requests(client, reader)),
                 asyncio.ensure_future(self.pump_replies(client, backend_reader))]
        try:
            await asyncio.wait(pumps)
        finally:
            self.clients.remove(client)
            for pump in pumps:
                pump.cancel()
            writer.close()
            backend_writer.close()

    async def pump_requests(self, client, reader):
        """Client to backend, untouched."""
        try:
            while data := await reader.read(65536):
                client.backend.write(data)
                await client.backend.drain()
            client.asks_no_more = True
            client.backend.write_eof()
        except OSError:
            client.backend.close()

    async def pump_replies(self, client, reader):
        """Backend to client, reply by reply, with a fault now and then."""
        splitter = ReplySplitter()
        try:
            while data := await reader.read(65536):
                splitter.feed(data)
                while (reply := splitter.take()) is not None:
                    self.passed += 1
                    client.send(self.mishandle(client, reply))
                await client.writer.drain()
        except OSError:
            pass
        client.writer.close()

    def mishandle(self, client, reply):
        """What the client gets instead of this reply."""
        if not self.fault or self.passed % self.every:
            return reply
        wrong = self.fault(client, reply)
        self.done += wrong != reply
        return wrong

    def fault_swap(self, client, reply):
        """Hold the reply back behind the next one."""
        client.held += reply
        return b""

    def fault_steal(self, client, reply):
        """Give it to another client as well."""
        others = [other for other in self.clients if other is not client]
        if not others:
            return reply
        others[0].send(reply)
        self.done += 1
        return reply

    def fault_lose(self, _client, _reply):
        """Drop it."""
        return b""

    def fault_double(self, _client, reply):
        """Send it twice."""
        return reply + reply

    def fault_alter(self, _client, reply):
        """Change one bit of a value."""
        if not reply.startswith(b"$") or len(reply) < 12:
            return reply
        return reply[:-4] + bytes([reply[-4] ^ 1]) + reply[-3:]

    def fault_cut(self, client, reply):
        """Deliver half and close."""
        client.closing = True
        return reply[: len(reply) // 2]

    def fault_unknown(self, _client, _reply):
        """Claim that the backend was lost."""
        return b"-RGUNKNOWN backend connection lost after the request was sent; it may have run\r\n"

    def fault_database(self, client, reply):
        """Move the client to another database behind its back, if it can still ask there."""
        if client.asks_no_more:
            return reply
        client.backend.write(encode("CLIENT", "REPLY", "SKIP") + encode("SELECT", 9))
        self.done += 1
        return reply


class Client:
    """A client's writer, with what is held back from it."""

    def __init__(self, writer, backend):
        self.writer = writer
        self.backend = backend
        self.held = b""
        self.closing = False
        self.asks_no_more = False  # its end is passed on, and nothing may be written behind that

    def send(self, data):
        """Send, and behind it what was held back (if this is not the holding back itself)."""
        if data and self.held:
            data, self.held = data + self.held, b""
        if not self.writer.is_closing():
            self.writer.write(data)
        if self.closing:
            self.writer.close()
