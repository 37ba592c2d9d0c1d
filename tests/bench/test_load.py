"""Proves that bench_load finds every way in which a reply can be wrong, and counts only what is right.

A fake Redis stores what is preloaded and answers GET truly, except for one reply in the middle that a case spoils.
bench_floor is shown to pass all of it on unharmed: a floor that loses bytes would be no measure.
"""

import contextlib

import json
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import unittest

SPOILED_REPLY = 30
REQUESTS = 100


class FakeRedis(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, spoil):
        super().__init__(("127.0.0.1", 0), FakeClient)
        self.spoil = spoil
        self.values = {}
        self.gets = 0
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, request):
        """The reply's bytes; nothing means: close."""
        name = request[0]
        if name == b"SET":
            self.values[request[1]] = request[2]
            return b"+OK\r\n"
        if name == b"SCRIPT":
            return b"$40\r\n" + b"0" * 40 + b"\r\n"
        if name == b"COUNT":
            self.gets += 1
            reply = b"*2\r\n:1\r\n:%d\r\n" % self.gets
            return self.spoil(reply) if self.gets == SPOILED_REPLY else reply
        if name == b"INCR":
            self.gets += 1
            reply = b":%d\r\n" % self.gets
            return self.spoil(reply) if self.gets == SPOILED_REPLY else reply
        with self.lock:
            self.gets += 1
            spoiled = self.gets == SPOILED_REPLY
        keys = request[3:] if name == b"EVALSHA" else request[1:]
        bulks = [b"$%d\r\n%s\r\n" % (len(value), value) for value in map(self.values.get, keys)]
        reply = b"*%d\r\n" % len(bulks) + b"".join(bulks) if name == b"MGET" else bulks[0]
        return self.spoil(reply) if spoiled else reply


class FakeClient(socketserver.StreamRequestHandler):
    def handle(self):
        while header := self.rfile.readline():
            request = []
            for _ in range(int(header[1:])):
                length = int(self.rfile.readline()[1:])
                request.append(self.rfile.read(length + 2)[:-2])
            reply = self.server.answer(request)
            if reply is None:
                return
            self.wfile.write(reply)


@contextlib.contextmanager
def floor_before(port):
    """The port of a bench_floor whose backend has this port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        own = probe.getsockname()[1]
    with subprocess.Popen([FLOOR, str(own), str(port)]) as process:
        while process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", own)):
                break
        yield own
        process.terminate()


def run_load(spoil, *arguments, before=contextlib.nullcontext, clients=1):
    """Returns (exit code, the window's report, stderr)."""
    with FakeRedis(spoil) as redis, before(redis.server_address[1]) as port:
        argv = [LOAD, "--target", f"127.0.0.1:{port}", "--clients", str(clients), "--warmup", "0",
                "--requests", str(REQUESTS), "--workload", "get", *arguments]
        done = subprocess.run(argv, input="\n", capture_output=True, text=True, timeout=60, check=False)
        redis.shutdown()
    lines = done.stdout.splitlines()
    return done.returncode, json.loads(lines[1]), done.stderr


class LoadTest(unittest.TestCase):
    def assert_found(self, spoil, why, *arguments):
        code, report, errors = run_load(spoil, *arguments)
        self.assertEqual(code, 1)
        self.assertGreaterEqual(report["errors"], 1)
        self.assertIn(why, errors)
        return report

    def test_true_replies(self):
        for workload in (["get"], ["getset"], ["mget10"], ["evalsha"], ["get", "--pipeline", "16"],
                         ["connect"], ["big", "--size", "200000", "--keys", "4"],
                         ["get", "--size", "16384", "--pipeline", "3"]):
            with self.subTest(workload):
                code, report, _ = run_load(lambda reply: reply, "--workload", *workload)
                self.assertEqual((code, report["requests"], report["errors"]), (0, REQUESTS, 0))

    def test_the_floor_passes_on_what_it_gets(self):
        for workload in (["get"], ["mget10"], ["evalsha"], ["getset", "--pipeline", "16"], ["connect"],
                         ["big", "--size", "200000", "--keys", "4"]):
            with self.subTest(workload):
                arguments = ["--workload", *workload]
                code, report, _ = run_load(lambda reply: reply, *arguments, before=floor_before, clients=8)
                self.assertEqual((code, report["requests"], report["errors"]), (0, REQUESTS, 0))

    def test_requests_of_a_file(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"*2\r\n$5\r\nCOUNT\r\n$1\r\na\r\n*2\r\n$5\r\nCOUNT\r\n$3\r\n\r\nb\r\n")
            file.flush()
            arguments = ["--workload", "file", "--file", file.name, "--reply", "*2 :1", "--pipeline", "3"]
            code, report, _ = run_load(lambda reply: reply, *arguments)
            self.assertEqual((code, report["requests"], report["errors"]), (0, REQUESTS, 0))
            self.assert_found(lambda reply: reply.replace(b":1", b":0", 1), "does not belong", *arguments)
            self.assert_found(lambda reply: reply + b":3\r\n", "", *arguments)
            self.assert_found(lambda _: b"-ERR no\r\n", "ERR no", *arguments)

    def test_requests_of_a_file_with_single_replies(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"*2\r\n$4\r\nINCR\r\n$1\r\na\r\n")
            file.flush()
            arguments = ["--workload", "file", "--file", file.name, "--reply", ":", "--pipeline", "3"]
            code, report, _ = run_load(lambda reply: reply, *arguments)
            self.assertEqual((code, report["requests"], report["errors"]), (0, REQUESTS, 0))
            self.assert_found(lambda reply: reply.replace(b":", b"+"), "does not belong", *arguments)
            self.assert_found(lambda reply: reply + reply, "", *arguments)

    def test_value_of_another_key(self):
        self.assert_found(lambda reply: reply.replace(b"v0", b"v1", 1), "does not belong")

    def test_one_wrong_value_of_many(self):
        self.assert_found(lambda reply: b"v1".join(reply.rsplit(b"v0", 1)), "does not belong", "--workload", "mget10")

    def test_length(self):
        self.assert_found(lambda reply: reply.replace(b"$16", b"$15"), "does not belong")

    def test_type(self):
        self.assert_found(lambda reply: b"+OK\r\n", "does not belong")

    def test_nothing_there(self):
        self.assert_found(lambda reply: b"$-1\r\n", "does not belong")

    def test_end_of_value(self):
        self.assert_found(lambda reply: reply[:-2] + b"xx", "does not belong")
        self.assert_found(lambda reply: reply[:-2] + b"xx", "does not belong", "--size", "200000")

    def test_one_reply_too_many(self):
        self.assert_found(lambda reply: reply + b"+OK\r\n", "bytes after the last reply")

    def test_close(self):
        report = self.assert_found(lambda reply: None, "closed by the other side")
        self.assertEqual(report["requests"], SPOILED_REPLY - 1)

    def test_error_reply_is_counted_and_framed(self):
        report = self.assert_found(lambda reply: b"-ERR no\r\n", "-ERR no")
        self.assertEqual((report["requests"], report["errors"]), (REQUESTS, 1))


if __name__ == "__main__":
    LOAD, FLOOR = sys.argv.pop(1), sys.argv.pop(1)
    unittest.main()
