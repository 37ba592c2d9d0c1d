"""A service by its unit file, started, reloaded and stopped as systemd would, which is not there."""

import re
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

from harness import respgate_env


def settings(unit, name):
    """All values that a unit gives a setting, in their order."""
    return re.findall(rf"^{name}=(.*)$", unit.read_text(), re.MULTILINE)


@contextmanager
def running(argv, env):
    """A child, which is ended when the test fails."""
    child = subprocess.Popen(argv, env=respgate_env(env), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


class Service:
    """Runs within a `with`, which is its start; `program` is what /usr/bin/respgate means, `env` its environment."""

    def __init__(self, unit, program, manager, env):
        [start], [self.reload_command] = settings(Path(unit), "ExecStart"), settings(Path(unit), "ExecReload")
        assert settings(Path(unit), "Type") == ["notify"] and start.split()[0] == "/usr/bin/respgate"
        self.manager = manager
        self.process = running([str(program), *start.split()[1:]], {**env, **manager.env})
        self.child = None

    def __enter__(self):
        self.child = self.process.__enter__()
        self.manager.wait_for("READY")
        return self

    def __exit__(self, *exception):
        return self.process.__exit__(*exception)

    def reload(self):
        """Until it is ready again; what it says then."""
        subprocess.run(self.reload_command.replace("$MAINPID", str(self.child.pid)).split(), check=True)
        self.manager.wait_for("RELOADING")
        return self.manager.wait_for("READY")["STATUS"]

    def stop(self):
        """Its exit code."""
        self.child.send_signal(signal.SIGTERM)
        self.manager.wait_for("STOPPING")
        return self.child.wait(10)
