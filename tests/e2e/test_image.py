"""The image as a cluster runs it: nobody's, on a root that nobody writes, with no capabilities and little memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.fleets import account, write_fleet
from tests.support.chart import ROOT
from tests.support.simulated import azure

pytestmark = pytest.mark.e2e

WORK = ROOT / "build" / "image"
STORE = ("--root", f"{WORK}/store", "--runroot", f"{WORK}/run", "--storage-driver", "overlay")
PODMAN = ("podman", *STORE, "--cgroup-manager", "cgroupfs", "--events-backend", "none")
IMAGE = "localhost/reconciler:ci"
PYTHON = "/opt/reconciler/bin/python"
# As the chart says it, as far as one machine can.
CONFINED = (
    *("--runtime", "runc", "--network", "host", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"),
    *("--security-opt", "no-new-privileges", "--memory", "256m", "--log-driver", "k8s-file"),
    *("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096"),
)
FLEET = """\
apiVersion: reconciler/v1
kind: Fleet
metadata: {name: nowhere}
spec:
  subscription: 00000000-0000-0000-0000-000000000001
  tenant: 00000000-0000-0000-0000-000000000002
  credential: {type: clientSecret, clientId: 00000000-0000-0000-0000-000000000003}
"""


def podman(*words: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    # Where memory runs out, podman leaves a file in the folder that it was called in.
    return subprocess.run([*PODMAN, *words], cwd=WORK, capture_output=True, text=True, check=False, timeout=timeout)


@pytest.fixture(scope="module")
def image() -> str:
    """The image that `make image` has built; what it weighs is printed."""
    done = podman("image", "inspect", IMAGE)
    assert done.returncode == 0, "there is no image: run `make image`"
    size = json.loads(done.stdout)[0]["Size"]
    sys.stdout.write(f"\nimage: {size / 1e6:.0f} MB unpacked\n")
    assert size < 400e6
    return IMAGE


def once(image: str, *words: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return podman("run", "--rm", *CONFINED, *options, image, *words)


def python(image: str, program: str, *options: str) -> subprocess.CompletedProcess[str]:
    return once(image, "-c", program, options=("--entrypoint", PYTHON, *options))


def test_the_image_says_what_runs_and_as_whom(image: str) -> None:
    config = json.loads(podman("image", "inspect", image).stdout)[0]["Config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["/opt/reconciler/bin/reconciler"]
    assert config["Cmd"] == ["run"]


def test_it_starts_at_once(image: str) -> None:
    began = time.monotonic()
    done = once(image, "--version")
    took = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("reconciler ")
    sys.stdout.write(f"\nstart to end of --version: {took:.2f} s\n")
    assert took < 20


def test_everything_that_it_uses_can_be_loaded(image: str) -> None:
    modules = "reconciler.cli.dispatch", "azure.mgmt.monitor.aio", "azure.mgmt.network.aio", "prometheus_client"
    program = f"import {', '.join(modules)}"
    done = python(image, program)
    assert done.returncode == 0, done.stderr


def test_nothing_is_compiled_when_it_starts(image: str) -> None:
    """Bytecode that goes by the time of its source is stale once a builder has rounded that."""
    program = (
        "import pathlib; files = [*pathlib.Path('/opt/reconciler/lib').rglob('*.py')];"
        "made = [pathlib.Path(__import__('importlib.util').util.cache_from_source(str(f))) for f in files];"
        "print(len(files) > 1000, [str(f) for f in made if f.read_bytes()[4:8] != bytes([1, 0, 0, 0])])"
    )
    assert python(image, program).stdout.strip() == "True []"


def test_it_may_do_nothing_and_write_nowhere(image: str) -> None:
    program = (
        "import os, pathlib; status = pathlib.Path('/proc/self/status').read_text().split('\\n');"
        "print(os.getuid(), os.getgid());"
        "print(*sorted(l.replace(chr(9), ' ') for l in status if l.startswith(('CapEff', 'NoNewPrivs'))));"
        "pathlib.Path('/tmp/x').write_text('x');"
        "pathlib.Path('/opt/reconciler/x').write_text('x')"
    )
    done = python(image, program)
    assert done.stdout.splitlines() == ["10001 10001", "CapEff: 0000000000000000 NoNewPrivs: 1"]
    assert "Read-only file system" in done.stderr


def test_there_is_nothing_to_build_or_install_with(image: str) -> None:
    program = (
        "import importlib.util as u, shutil;"
        "print([p for p in ('gcc', 'cc', 'make', 'git', 'curl', 'wget', 'pip') if shutil.which(p)],"
        " [m for m in ('pip', 'setuptools', 'pytest') if u.find_spec(m)])"
    )
    assert python(image, program).stdout.strip() == "[] []"


def test_more_memory_than_it_is_given_ends_it(image: str) -> None:
    """Else the limit above would have proved nothing."""
    assert python(image, "bytearray(200_000_000)", "--memory", "40m").returncode == 137


class Container:
    """The daemon in its container."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def log(self) -> str:
        done = podman("logs", self.name)
        return done.stdout + done.stderr

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]
        return [each for each in lines if each["event"] == name]

    def until(self, good: Callable[[], bool], seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while not good():
            assert time.monotonic() < end, self.log
            time.sleep(0.2)

    def run(self, program: str) -> str:
        return podman("exec", self.name, PYTHON, "-c", program).stdout.strip()

    def probe(self, path: str) -> tuple[int, str]:
        """Asked from within, as the kubelet asks."""
        url = f"http://127.0.0.1:{self.events('server.listening')[0]['port']}{path}"
        program = (
            "import http.client as h, sys, urllib.parse as u; url = u.urlsplit(sys.argv[1]);"
            "c = h.HTTPConnection(url.netloc, timeout=5); c.request('GET', url.path); a = c.getresponse();"
            "print(a.status, a.read().decode())"
        )
        done = podman("exec", self.name, PYTHON, "-c", program, url)
        status, _, told = done.stdout.strip().partition(" ")
        return int(status), told

    def stop(self) -> float:
        """Seconds from SIGTERM to the end, which is one in order."""
        began = time.monotonic()
        done = podman("stop", "--time", "60", self.name)
        took = time.monotonic() - began
        assert done.returncode == 0, done.stderr
        state = json.loads(podman("inspect", self.name).stdout)[0]["State"]
        assert state["ExitCode"] == 0, self.log
        return took


@contextmanager
def contained(image: str, folder: Path, fleet: str, environment: Mapping[str, str]) -> Iterator[Container]:
    """What is in `folder`, besides, is mounted where settings are."""
    desired = folder / "desired"
    desired.mkdir()
    (desired / "fleet.yaml").write_text(fleet)
    (folder / "reconciler.yaml").write_text("sources: [/desired]\nlogFormat: json\ngrace: 5s\nlisten: 127.0.0.1:0\n")
    name = f"reconciler-{time.monotonic_ns()}"
    mounts = ("--volume", f"{desired}:/desired:ro", "--volume", f"{folder}:/etc/reconciler:ro")
    given = {"RECONCILER_CONFIG": "/etc/reconciler/reconciler.yaml", **environment}
    words = [word for key, value in given.items() for word in ("--env", f"{key}={value}")]
    done = podman("run", "--detach", "--name", name, *CONFINED, *mounts, *words, image)
    assert done.returncode == 0, done.stderr
    try:
        yield Container(name)
    finally:
        podman("rm", "--force", "--time", "0", name)


def readable(folder: Path) -> Path:
    """A folder that nobody in particular can read: pytest's own are its user's alone."""
    folder.mkdir(mode=0o755)
    return folder


def test_the_daemon_is_the_first_process_and_stops_when_it_is_told(image: str, tmp_path: Path) -> None:
    """With a fleet that it cannot sign in to: alive, and not ready."""
    with contained(image, readable(tmp_path / "settings"), FLEET, {"AZURE_CLIENT_SECRET": "x"}) as running:
        running.until(lambda: bool(running.events("pass.started")))
        assert "reconciler" in running.run("print(open('/proc/1/cmdline').read())")
        assert running.probe("/livez") == (200, "ok")
        status, why = running.probe("/readyz")
        assert status == 503
        assert why
        took = running.stop()
        sys.stdout.write(f"\nSIGTERM to end: {took:.2f} s\n")
        assert took < 20, running.log


def test_it_converges_and_is_ready_as_nobody_with_nothing(image: str, tmp_path: Path) -> None:
    fleet = Path(write_fleet(tmp_path, "boxed", account("aoai-boxed"))) / "fleet.yaml"
    with azure(tmp_path) as sim:
        folder = readable(tmp_path / "settings")
        (folder / "ca.pem").write_bytes(Path(sim.environment["RECONCILER_CA_BUNDLE"]).read_bytes())
        environment = {**sim.environment, "RECONCILER_CA_BUNDLE": "/etc/reconciler/ca.pem"}
        with contained(image, folder, fleet.read_text(), environment) as running:
            running.until(lambda: any(id.endswith("/aoai-boxed/deployments/chat") for id in sim.resources()))
            running.until(lambda: running.probe("/readyz") == (200, "ok, leading"))
            assert running.probe("/livez") == (200, "ok")
            assert running.probe("/metrics")[0] == 200
            peak = int(
                running.run("print(next(l for l in open('/proc/1/status') if l.startswith('VmHWM')).split()[1])")
            )
            sys.stdout.write(f"\nmost memory of a small fleet: {peak / 1024:.0f} MiB\n")
            running.stop()
            assert sim.environment["AZURE_CLIENT_SECRET"] not in running.log
