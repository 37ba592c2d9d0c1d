"""Pods out of the Kubernetes manifests, run by podman, which knows most of Kubernetes but not native sidecars.

The transform: a sidecar (an init container that restarts always) becomes one of the containers, a Redis joins the pod, and
images are those of this machine.
"""

import os
import shutil
from pathlib import Path

import yaml

from engine import REDIS, run

SETTINGS = """
[containers]
default_ulimits = ["nofile={nofile}:{nofile}", "nproc=30000:30000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
static_dir = "{root}/static"
tmp_dir = "{root}/tmp"
volume_path = "{root}/volumes"
[network]
network_backend = "netavark"
network_config_dir = "{root}/networks"
"""
STORAGE = '[storage]\ndriver = "overlay"\ngraphroot = "{root}/storage"\nrunroot = "{root}/run"\n'


def manifest(path):
    """The Deployment, as it stands in the file."""
    return yaml.safe_load(path.read_text())


def pod_spec(deployment):
    """The part of it that is about the pod."""
    return deployment["spec"]["template"]["spec"]


def transform(deployment):
    """YAML for podman."""
    spec = pod_spec(deployment)
    sidecars = [one for one in spec.pop("initContainers", []) if one.pop("restartPolicy", None) == "Always"]
    redis = {"name": "redis", "image": REDIS, "command": ["redis-server", "--save", ""]}
    spec["containers"] = [redis, *sidecars, *spec["containers"]]
    for container in spec["containers"]:
        container["image"] = f"localhost/{container['image']}"
        container["imagePullPolicy"] = "Never"
        container.pop("startupProbe", None)  # podman would run it by systemd's timers
        container.pop("livenessProbe", None)
    for volume in spec["volumes"]:
        volume["secret"]["optional"] = False  # podman 4.3 ends in a panic when nothing is said
    return yaml.safe_dump(deployment)


class Podman:
    """podman with a root of its own beneath `root`."""

    def __init__(self, root, nofile):
        self.root = Path(root)
        (self.root / "networks").mkdir(parents=True)
        values = {"root": self.root, "nofile": nofile}
        (self.root / "containers.conf").write_text(SETTINGS.format(**values))
        (self.root / "storage.conf").write_text(STORAGE.format(**values))
        self.env = {**os.environ, "CONTAINERS_CONF": str(self.root / "containers.conf"),
                    "CONTAINERS_STORAGE_CONF": str(self.root / "storage.conf")}

    def __call__(self, *arguments, **kwargs):
        """podman ARGUMENT...: what it did and wrote."""
        return run("podman", *arguments, env=self.env, **kwargs)

    def take(self, archive):
        """Images out of a file of `docker save`."""
        self("load", "--input", str(archive), timeout=300)

    def keep_secret(self, name, values):
        """What kubectl create secret generic NAME --from-literal=... does in a cluster; podman 4.3 leaves base64 as it is."""
        file = self.root / name
        file.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Secret", "data": values}))
        self("secret", "create", name, str(file))

    def execute(self, container, *argv):
        """A command inside: exit code and output."""
        done = self("exec", container, *argv, check=False)
        return done.returncode, done.stdout

    def end(self):
        """Everything away, the root as well."""
        self("pod", "rm", "--all", "--force", "--time", "2", check=False)
        self("secret", "rm", "--all", check=False)
        shutil.rmtree(self.root, ignore_errors=True)
