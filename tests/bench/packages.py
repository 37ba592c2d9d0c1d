"""Installs the Debian packages that a measurement needs and the machine lacks."""

import subprocess
import sys

from contestants import ROOT


def need(*packages):
    """Does nothing when all are there; never starts a service (see deploy/packages.sh)."""
    script = '. "$0/deploy/packages.sh" && need "$@" >&2'
    if subprocess.run(["bash", "-c", script, ROOT, *packages], check=False).returncode != 0:
        sys.exit("bench: packages are missing: " + " ".join(packages))
