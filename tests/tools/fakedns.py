"""A scripted name server for tests, on a loopback address of its own (port 53, so it takes root).

    with FakeDns() as dns:
        dns.zone["a.test"] = lambda kind, _n: Answer(60, ["127.0.0.1"] if kind == A else [])
        ... dns.address, dns.asked("a.test", A) ...
"""

import random
import socket
import struct
import threading
from collections import namedtuple

A, AAAA = 1, 28
NO_ERROR, SERVER_FAILED, NO_SUCH_NAME = 0, 2, 3

Answer = namedtuple("Answer", "ttl addresses code", defaults=(NO_ERROR,))


def read_question(query):
    """The name, the kind of record, and where the question ends."""
    position, labels = 12, []
    while query[position]:
        labels.append(query[position + 1 : position + 1 + query[position]].decode())
        position += query[position] + 1
    return ".".join(labels).lower(), struct.unpack(">H", query[position + 1 : position + 3])[0], position + 5


def write_answer(query, end, kind, answer):
    """The whole datagram."""
    family = socket.AF_INET6 if kind == AAAA else socket.AF_INET
    reply = query[:2] + struct.pack(">HHHHH", 0x8180 | answer.code, 1, len(answer.addresses), 0, 0) + query[12:end]
    for address in answer.addresses:
        raw = socket.inet_pton(family, address)
        reply += b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, answer.ttl, len(raw)) + raw
    return reply


class FakeDns:
    """`zone` maps a name to a function of the kind and how often it was asked: an Answer, or None for silence."""

    def __init__(self):
        self.zone = {}
        self.questions = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.address = ".".join(["127"] + [str(random.randrange(1, 255)) for _ in range(3)])
        self.socket.bind((self.address, 53))
        self.socket.settimeout(0.05)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join(10)
        self.socket.close()

    def asked(self, name, kind):
        """How often."""
        return self.questions.count((name, kind))

    def serve(self):
        """Thread: answer as the zone says; a name that is not in it does not exist."""
        while not self.ended.is_set():
            try:
                query, peer = self.socket.recvfrom(2048)
            except TimeoutError:
                continue
            name, kind, end = read_question(query)
            self.questions.append((name, kind))
            rule = self.zone.get(name, lambda _kind, _n: Answer(0, [], NO_SUCH_NAME))
            answer = rule(kind, self.asked(name, kind))
            if answer is not None:
                self.socket.sendto(write_answer(query, end, kind, answer), peer)
