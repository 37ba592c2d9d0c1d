"""Certificates made with the openssl command line: a CA of our own, a good server, and every kind that must be refused.

Made once per process, in a directory of its own; `good` is for localhost and 127.0.0.1.
"""

import functools
import subprocess
import tempfile
from pathlib import Path

# name: (what differs from the good one, in the words of openssl's command line and its extension file)
NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1\n"
SERVER = "extendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n"
KINDS = {
    "good": {},
    "expired": {"dates": ("20200101000000Z", "20210101000000Z")},
    "renewed": {"dates": ("20250101000000Z", "20410101000000Z")},
    "future": {"dates": ("20900101000000Z", "20910101000000Z")},
    "wrong-name": {"names": "subjectAltName=DNS:elsewhere.example,IP:127.0.0.99\n"},
    "wrong-ip": {"names": "subjectAltName=DNS:localhost,IP:127.0.0.99\n"},
    "common-name": {"names": "", "subject": "/CN=127.0.0.1"},
    "partial-wildcard": {"names": "subjectAltName=DNS:local*.example\n"},
    "self-signed": {"signer": None},
    "unknown-ca": {"signer": "other-ca"},
    "rsa-1024": {"key": ("rsa:1024",)},
    "sha-1": {"digest": "-sha1"},
    "client-only": {"extensions": "extendedKeyUsage=clientAuth\nbasicConstraints=CA:FALSE\n"},
    "client": {"extensions": "extendedKeyUsage=clientAuth\nbasicConstraints=CA:FALSE\n", "names": ""},
}


def openssl(*arguments, directory):
    """Run it, quietly."""
    done = subprocess.run(["openssl", *arguments], cwd=directory, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, f"openssl {' '.join(arguments)}: {done.stderr}"


class Certificates:
    """`ca` is the trusted CA's file; certificate(kind) gives the files of certificate and key."""

    def __init__(self, directory):
        self.directory = Path(directory)
        for name in ("ca", "other-ca"):
            openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.crt",
                    "-days", "30", "-subj", f"/CN={name}", directory=directory)
            (self.directory / f"{name}.txt").write_text("")
            (self.directory / f"{name}.srl").write_text("1000\n")
            (self.directory / f"{name}.cnf").write_text(
                f"[ca]\ndefault_ca=d\n[d]\ndatabase={name}.txt\nserial={name}.srl\nnew_certs_dir=.\n"
                "default_md=sha256\npolicy=p\nunique_subject=no\nrand_serial=yes\n[p]\ncommonName=optional\n")
        self.ca = str(self.directory / "ca.crt")

    @functools.lru_cache(maxsize=None)  # noqa: B019 (one object a process)
    def certificate(self, kind):
        """The paths of certificate and key."""
        way = KINDS[kind]
        subject = way.get("subject", "/CN=x")
        extensions = way.get("names", NAMES) + way.get("extensions", SERVER)
        (self.directory / f"{kind}.ext").write_text(extensions)
        openssl("req", "-newkey", *way.get("key", ("rsa:2048",)), "-nodes", "-keyout", f"{kind}.key", "-out",
                f"{kind}.csr", "-subj", subject, directory=self.directory)
        signer = way.get("signer", "ca")
        digest = way.get("digest", "-sha256")
        if signer is None:
            openssl("x509", "-req", "-in", f"{kind}.csr", "-signkey", f"{kind}.key", "-out", f"{kind}.crt", "-days",
                    "30", digest, "-extfile", f"{kind}.ext", directory=self.directory)
        else:
            start, end = way.get("dates", ("20250101000000Z", "20400101000000Z"))
            openssl("ca", "-batch", "-config", f"{signer}.cnf", "-cert", f"{signer}.crt", "-keyfile", f"{signer}.key",
                    "-in", f"{kind}.csr", "-out", f"{kind}.crt", "-startdate", start, "-enddate", end, "-md",
                    digest[1:], "-extfile", f"{kind}.ext", "-notext", directory=self.directory)
        return str(self.directory / f"{kind}.crt"), str(self.directory / f"{kind}.key")


@functools.lru_cache(maxsize=None)
def certificates():
    """The one set of this process."""
    holder = tempfile.TemporaryDirectory(prefix="respgate-certs-")
    made = Certificates(holder.name)
    made.holder = holder
    return made
