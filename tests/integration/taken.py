"""When has the process at the other end of a loopback connection read what was sent? Asked of the kernel, not guessed.

Between two writes this makes a split certain: the second half cannot be read together with the first one. The kernel is
asked by sock_diag(7), which looks one socket up; /proc/net/tcp would be read whole each time.
"""

import errno
import os
import socket
import struct
import time

SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, NLMSG_ERROR, NETLINK_SOCK_DIAG = 20, 1, 2, 4
INET_DIAG_INFO, ANY_STATE, ANY_COOKIE = 2, 0xFFFFFFFF, 0xFFFFFFFF
# Offsets in struct tcp_info of linux/tcp.h, in struct inet_diag_msg of linux/inet_diag.h.
BYTES_RECEIVED, NOTSENT_BYTES, BYTES_SENT, BYTES_RETRANS, TCP_INFO_LEN = 128, 144, 200, 208, 216
DIAG_RQUEUE, DIAG_WQUEUE, DIAG_LEN = 56, 60, 72


def ask_kernel(local, remote):
    """The inet_diag_msg of the IPv4 socket with these ends, with its tcp_info behind it; None without such a socket."""
    ends = struct.pack("!HH4s12x4s12x", local[1], remote[1], socket.inet_aton(local[0]), socket.inet_aton(remote[0]))
    request = struct.pack("=BBBxI", socket.AF_INET, socket.IPPROTO_TCP, 1 << (INET_DIAG_INFO - 1), ANY_STATE) + ends
    request += struct.pack("=III", 0, ANY_COOKIE, ANY_COOKIE)
    header = struct.pack("=IHHII", 16 + len(request), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(5)
        kernel.send(header + request)
        answer = kernel.recv(8192)
    if struct.unpack_from("=H", answer, 4)[0] != NLMSG_ERROR:
        return answer[16:]
    error = -struct.unpack_from("=i", answer, 16)[0]
    if error == errno.ENOENT:
        return None
    raise OSError(error, os.strerror(error))


def receive_queue(local, remote):
    """Bytes that the kernel holds for the IPv4 socket with these ends, unread; 0 when there is no such socket."""
    diag = ask_kernel(local, remote)
    return struct.unpack_from("=I", diag, DIAG_RQUEUE)[0] if diag else 0


def attribute(diag, wanted):
    """The value of one attribute behind an inet_diag_msg."""
    at = DIAG_LEN
    while at < len(diag):
        length, kind = struct.unpack_from("=HH", diag, at)
        if kind == wanted:
            return diag[at + 4 : at + length]
        at += (length + 3) & ~3
    raise OSError("the kernel tells nothing about this connection")


def is_taken(sock):
    """True when the peer's process has read every byte sent so far, or has closed. Does not wait for acknowledgements,
    which may be late by design."""
    own = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_LEN)
    sent, again = struct.unpack_from("=QQ", own, BYTES_SENT)
    peer = ask_kernel(sock.getpeername(), sock.getsockname())
    if peer is None:
        return True
    arrived = struct.unpack_from("=Q", attribute(peer, INET_DIAG_INFO), BYTES_RECEIVED)[0]
    unsent = struct.unpack_from("=I", own, NOTSENT_BYTES)[0]
    unread = struct.unpack_from("=I", peer, DIAG_RQUEUE)[0]
    return unsent == 0 and arrived == sent - again and unread == 0


def handed_to(sock):
    """Bytes that the peer's process has handed to its kernel for this connection, arrived or not."""
    own = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_LEN)
    peer = ask_kernel(sock.getpeername(), sock.getsockname())
    return struct.unpack_from("=Q", own, BYTES_RECEIVED)[0] + struct.unpack_from("=I", peer, DIAG_WQUEUE)[0]


def wait_taken(sock, timeout=10.0):
    """Wait until the peer's process has read every byte sent so far. Polls faster than harness.wait_until: it is called
    for every byte of some streams."""
    deadline = time.monotonic() + timeout
    while not is_taken(sock):
        assert time.monotonic() < deadline, f"the peer did not read within {timeout} s"
        time.sleep(0.0002)


def send_in_pieces(sock, pieces):
    """Send each piece once the one before it was read."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for index, piece in enumerate(pieces):
        if index:
            wait_taken(sock)
        sock.sendall(piece)
