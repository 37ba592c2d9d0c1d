"""A job of a workflow file as GitHub's runner runs it: the same calls of the engine, the same shell, the same conditions."""

import os
import shlex
import time
import uuid

import yaml

from engine import Container, docker, run

HEALTH = "{{if .Config.Healthcheck}}{{print .State.Health.Status}}{{end}}"


class Job:
    """Runs within a `with`. `edit` may change what the file says; `variables` are those of the repository (vars.NAME)."""

    def __init__(self, path, name, variables, edit=lambda job: None):
        self.job = yaml.safe_load(path.read_text())["jobs"][name]
        edit(self.job)
        self.values = {f"vars.{key}": value for key, value in variables.items()}
        self.network = f"github_network_{uuid.uuid4().hex}"
        self.services = {}
        self.failed = False
        self.output = {}

    def __enter__(self):
        docker("network", "create", self.network)
        return self

    def __exit__(self, *_):
        for container in self.services.values():
            docker("rm", "--force", container.name)
        docker("network", "rm", self.network)

    def expand(self, text):
        """${{ expressions }} are names here, nothing more."""
        for key, value in self.values.items():
            text = text.replace("${{ " + key + " }}", value)
        assert "${{" not in text, text
        return text

    def create(self, name, service):
        """The runner's docker create and docker start of one service."""
        argv = ["create", "--name", uuid.uuid4().hex, "--network", self.network, "--network-alias", name]
        for port in service.get("ports", []):
            argv += ["-p", str(port)]
        argv += shlex.split(service.get("options", ""))
        for key, value in {**service.get("env", {}), "GITHUB_ACTIONS": "true", "CI": "true"}.items():
            argv += ["-e", f"{key}={self.expand(str(value))}"]
        self.services[name] = Container(docker(*argv, self.expand(service["image"])))
        self.values[f"job.services.{name}.id"] = self.services[name].name
        docker("start", self.services[name].name)

    def initialize(self):
        """All services; one that does not become healthy fails the job."""
        for name, service in self.job["services"].items():
            self.create(name, service)
        for container in self.services.values():
            while (health := docker("inspect", "--format", HEALTH, container.name)) == "starting":
                time.sleep(0.2)
            self.failed |= health not in ("", "healthy")

    def step(self, step, workspace):
        """One step in the runner's shell, if its condition holds."""
        if "run" not in step or (self.failed and step.get("if") != "always()"):
            return
        done = run("bash", "-e", "-c", self.expand(step["run"]), check=False, cwd=workspace,
                   env={"PATH": os.environ["PATH"], "DOCKER_HOST": os.environ["DOCKER_HOST"], **self.job["env"]})
        self.output[step["name"]] = done.stdout
        self.failed |= done.returncode != 0

    def run(self, workspace):
        """The whole job; returns whether it passed."""
        self.initialize()
        for step in self.job["steps"]:
            self.step(step, workspace)
        return not self.failed
