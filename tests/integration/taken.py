"""When has the process at the other end of a loopback connection read what was sent? Asked of the kernel, not guessed.

Between two writes this makes a split certain: the second half cannot be read together with the first one. The kernel is
asked by sock_diag(7), which looks one socket up; /proc/net/tcp would be read whole each time.
"""

import errno
import fcntl
import os
import socket
import struct
import time

SIOCOUTQ = 0x5411  # the number of TIOCOUTQ: bytes sent and not yet acknowledged
SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, NLMSG_ERROR, NETLINK_SOCK_DIAG = 20, 1, 2, 4
ANY_STATE, ANY_COOKIE = 0xFFFFFFFF, 0xFFFFFFFF


def receive_queue(local, remote):
    """Bytes that the kernel holds for the IPv4 socket with these ends, unread; 0 when there is no such socket."""
    ends = struct.pack("!HH4s12x4s12x", local[1], remote[1], socket.inet_aton(local[0]), socket.inet_aton(remote[0]))
    request = struct.pack("=BBBxI", socket.AF_INET, socket.IPPROTO_TCP, 0, ANY_STATE) + ends
    request += struct.pack("=III", 0, ANY_COOKIE, ANY_COOKIE)
    header = struct.pack("=IHHII", 16 + len(request), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(5)
        kernel.send(header + request)
        answer = kernel.recv(8192)
    if struct.unpack_from("=H", answer, 4)[0] == NLMSG_ERROR:
        error = -struct.unpack_from("=i", answer, 16)[0]
        if error == errno.ENOENT:
            return 0
        raise OSError(error, os.strerror(error))
    return struct.unpack_from("=I", answer, 16 + 4 + 48 + 4)[0]  # after two headers, the ends and a timer


def is_taken(sock):
    """True when the peer's process has read every byte sent so far."""
    unacknowledged = struct.unpack("=i", fcntl.ioctl(sock, SIOCOUTQ, b"\0" * 4))[0]
    return unacknowledged == 0 and receive_queue(sock.getpeername(), sock.getsockname()) == 0


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
