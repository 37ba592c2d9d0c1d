"""When has the process at the other end of a loopback connection read what was sent? Asked of the kernel, not guessed.

Between two writes this makes a split certain: the second half cannot be read together with the first one.
"""

import fcntl
import socket
import struct

from harness import wait_until

SIOCOUTQ = 0x5411  # the number of TIOCOUTQ: bytes sent and not yet acknowledged


def hex_address(address):
    """host, port as /proc/net/tcp writes them."""
    host, port = address[:2]
    return f"{struct.unpack('=I', socket.inet_aton(host))[0]:08X}:{port:04X}"


def receive_queue(local, remote):
    """Bytes that the kernel holds for the socket with these ends, unread; 0 when there is no such socket."""
    ends = [hex_address(local), hex_address(remote)]
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in table:
            words = line.split()
            if words[1:3] == ends:
                return int(words[4].split(":")[1], 16)
    return 0


def is_taken(sock):
    """True when the peer's process has read every byte sent so far."""
    unacknowledged = struct.unpack("=i", fcntl.ioctl(sock, SIOCOUTQ, b"\0" * 4))[0]
    return unacknowledged == 0 and receive_queue(sock.getpeername(), sock.getsockname()) == 0


def wait_taken(sock, timeout=10.0):
    """Wait until the peer's process has read every byte sent so far."""
    wait_until(lambda: is_taken(sock), timeout, "the peer to read")


def send_in_pieces(sock, pieces):
    """Send each piece once the one before it was read."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for index, piece in enumerate(pieces):
        if index:
            wait_taken(sock)
        sock.sendall(piece)
