"""The certificate of a Redis that speaks TLS: signed by itself, for localhost and 127.0.0.1, with the key the web uses."""

import os
import subprocess


def path(directory):
    return os.path.join(directory, "redis.crt")


def key_path(directory):
    return os.path.join(directory, "redis.key")


def make(directory):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key_path(directory), "-out", path(directory), "-days", "30", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
