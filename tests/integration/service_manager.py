"""The service manager's side of Type=notify: a socket that collects what a service says (sd_notify(3))."""

import socket

from harness import free_port, wait_until


class ServiceManager:
    """Listens at a path in `directory`, or at an abstract name; `env` is what systemd would give the service."""

    def __init__(self, directory, abstract=False, watchdog_us=None):
        self.name = f"@respgate-test-{free_port()}" if abstract else str(directory / "notify.sock")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + self.name[1:] if abstract else self.name)
        self.socket.setblocking(False)
        self.env = {"NOTIFY_SOCKET": self.name}
        if watchdog_us:
            self.env["WATCHDOG_USEC"] = str(watchdog_us)
        self.messages = []
        self.beats = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def fill(self):
        """Until the kernel takes nothing more for it."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.setblocking(False)
            other.connect(self.socket.getsockname())
            try:
                while True:
                    other.send(b"FILLED=1")
            except BlockingIOError:
                pass

    def take(self):
        """Everything it was told so far, as dicts, without the sign of life; returns how many of those came now."""
        beats = 0
        while True:
            try:
                message = self.socket.recv(65536).decode()
            except BlockingIOError:
                return beats
            assert len(message) <= 4096, "a manager throws longer messages away"
            lines = dict(line.split("=", 1) for line in message.split("\n"))
            if "WATCHDOG" in lines:
                assert lines == {"WATCHDOG": "1"}
                beats += 1
                self.beats += 1
            else:
                self.messages.append(lines)

    def wait_for(self, key, text=""):
        """The next message that has `key`, with `text` in its value; those before it are forgotten."""
        def find():
            self.take()
            while self.messages:
                message = self.messages.pop(0)
                if key in message and text in message[key]:
                    return message
            return None
        return wait_until(find, what=f"{key} with {text!r}")
