"""The Debian package: it builds, lintian finds no mistake, and what is in it works; and the bill of materials."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness import ROOT, free_port, respgate_binary, respgate_env, run_respgate
from service_manager import ServiceManager
from systemd_unit import Service
from wire import RespConnection

sys.path.insert(0, str(ROOT / "tests"))
from readme_blocks import SYSTEMD  # noqa: E402

SETTINGS = "etc/respgate/respgate.ini"
UNIT = "systemd/system/respgate.service"  # beneath /lib, or /usr/lib where the two are one


def output(*argv, **env):
    """What a command says, which must not fail."""
    done = subprocess.run([str(arg) for arg in argv], capture_output=True, text=True, timeout=300, check=False,
                          env={**os.environ, **env})
    assert done.returncode == 0, f"{argv}: {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The directory with the package, made once, and not optimized, which is quicker."""
    directory = tmp_path_factory.mktemp("package")
    output(ROOT / "deploy" / "debian" / "build", directory, DEB_BUILD_OPTIONS="noopt noautodbgsym")
    return directory


@pytest.fixture(scope="module")
def package(made):
    """The package itself."""
    [path] = made.glob("respgate_*.deb")
    return path


@pytest.fixture(scope="module")
def root(package, tmp_path_factory):
    """What would be installed, under a directory."""
    directory = tmp_path_factory.mktemp("root")
    output("dpkg-deb", "-x", package, directory)
    return directory


def unit_in(root):
    """The installed unit."""
    [unit] = root.glob(f"**/lib/{UNIT}")
    return unit


def test_lintian_finds_no_mistake(made):
    [changes] = made.glob("*.changes")
    said = output("lintian", "--allow-root", "--fail-on", "error,warning", changes)
    assert said == ""


def test_all_that_belongs_to_it_is_in_it(root):
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert {"usr/bin/respgate", SETTINGS, "usr/share/man/man1/respgate.1.gz", "usr/share/man/man5/respgate.ini.5.gz",
            "usr/share/bash-completion/completions/respgate", "usr/share/zsh/vendor-completions/_respgate",
            "usr/share/fish/vendor_completions.d/respgate.fish", "usr/share/doc/respgate/copyright"} <= files
    assert not [name for name in files if "test" in name or "fault" in name]


def test_the_program_in_it_is_this_one(package, root):
    told = json.loads(output(root / "usr/bin/respgate", "version", "--json"))
    ours = json.loads(run_respgate("version", "--json").stdout)
    assert {key: told[key] for key in ("version", "libevent", "openssl")} == \
           {key: ours[key] for key in ("version", "libevent", "openssl")}
    assert re.fullmatch(r"[0-9a-f]{12,40}(-dirty)?|unknown", told["commit"])
    assert output("dpkg-deb", "-f", package, "Version").strip() == told["version"]


def test_its_settings_are_good_and_belong_to_the_administrator(package, root):
    done = subprocess.run([root / "usr/bin/respgate", "check", "-c", root / SETTINGS], env=respgate_env(), check=False,
                          capture_output=True, text=True, timeout=10)
    assert (done.returncode, done.stderr) == (0, "")
    assert output("dpkg-deb", "--ctrl-tarfile", package)
    assert output("dpkg-deb", "-I", package, "conffiles").split() == [f"/{SETTINGS}"]


def test_it_brings_the_unit_and_has_it_started(package, root):
    unit = unit_in(root).read_text()
    assert unit == (ROOT / "deploy" / "systemd" / "respgate.service").read_text()
    assert "ExecStart=/usr/bin/respgate run" in unit
    assert "deb-systemd-helper" in output("dpkg-deb", "-I", package, "postinst")


class Debian:
    """What the README says of systemd, line by line, on a machine whose root is a directory."""

    def __init__(self, root, redis_url):
        self.root, self.redis_url = root, redis_url

    def here(self, text):
        """The text with this machine's places in it."""
        return text.replace("/etc/", f"{self.root}/etc/").replace("redis://127.0.0.1:6379/0", self.redis_url)

    def install(self, package):
        """apt-get install"""
        output("dpkg-deb", "-x", package, self.root)

    def service(self, manager, env):
        """systemctl restart"""
        return Service(unit_in(self.root), self.root / "usr/bin/respgate", manager,
                       {**env, "RESPGATE_CONFIG": str(self.root / SETTINGS)})


def test_the_readme_s_way_with_systemd_works(made, package, tmp_path, redis_server):
    build, install, edit, restart, status, reload = SYSTEMD.splitlines()
    assert build.split()[0] == "deploy/debian/build" and restart == "systemctl restart respgate"
    assert install == "apt-get install ./build-deb/respgate_*.deb" and package.match("respgate_*.deb")
    assert len(list(made.glob("respgate_*.deb"))) == 1, "there is another one that would be installed too"
    debian = Debian(tmp_path / "root", redis_server.url())
    debian.install(package)
    output("bash", "-c", debian.here(edit))
    port = free_port()
    env = {"RESPGATE_LISTEN_ADDRESS": f"127.0.0.1:{port}", "RESPGATE_STATS_ADDRESS": ""}
    with ServiceManager(tmp_path) as manager, debian.service(manager, env) as service:
        with RespConnection(port) as client:
            assert client.call("SET", "k", "v") == "OK"
        told = debian.here(re.fullmatch(r'systemctl status respgate +# Status: "(.*)"', status)[1])
        assert reload == "systemctl reload respgate" and service.reload() == told
        assert service.stop() == 0
    assert redis_server.call("GET", "k") == b"v"


# ---- bill of materials ----

def bill(build):
    """deploy/sbom of a build directory."""
    return json.loads(output(ROOT / "deploy" / "sbom", build))


def test_the_bill_names_every_library_that_is_loaded_with_its_package():
    told = bill(Path(respgate_binary()).parent)
    assert (told["bomFormat"], told["specVersion"]) == ("CycloneDX", "1.5")
    versions = {one["name"]: one["version"] for one in told["components"]}
    installed = dict(line.split(" ") for line in output(
        "dpkg-query", "-W", "-f", "${Package} ${Version}\n", *versions).splitlines())
    assert versions == installed
    brought = {os.path.basename(path) for path in output("dpkg-query", "-L", *versions).splitlines()}
    loaded = set(re.findall(r"(\S+) => /", output("ldd", respgate_binary())))
    assert len(loaded) > 5 and loaded <= brought
    main = told["metadata"]["component"]
    assert main["version"] == json.loads(run_respgate("version", "--json").stdout)["version"]
    assert [main["hashes"][0]["content"]] == output("sha256sum", respgate_binary()).split()[:1]
    references = {one["bom-ref"] for one in told["components"]}
    assert set(told["dependencies"][0]["dependsOn"]) == references and len(references) == len(told["components"])


def test_of_a_static_binary_the_bill_names_what_meson_found(tmp_path):
    """A stand-in that ldd can say nothing about, as of the one in the image."""
    build = Path(respgate_binary()).parent
    shutil.copytree(build / "meson-info", tmp_path / "meson-info")
    shutil.copytree(build / "meson-private", tmp_path / "meson-private")
    (tmp_path / "respgate").write_text(f"#!/bin/sh\nexec {respgate_binary()} \"$@\"\n")
    (tmp_path / "respgate").chmod(0o755)
    names = {one["name"] for one in bill(tmp_path)["components"]}
    assert {"hiredis", "inih", "libevent_core", "libssl"} <= names and not names & {"cmocka", "threads"}
