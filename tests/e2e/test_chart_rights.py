"""A release's whole life at an API server: it asks for exactly what the chart's Role grants, and says what is missing.

The daemon and the commands are processes with the chart's own config file; the server lets them do what the Role says.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.runtime.lease import Terms
from tests.cli.fleets import account, write_fleet
from tests.contracts.test_chart_rights import granted
from tests.support.chart import Values, example_values, find, render, with_values
from tests.support.kubernetes import ApiServer, Document, Right, served_apart
from tests.support.replicas import Replicas, replicas, told
from tests.support.simulated import azure, clean_environment

pytestmark = pytest.mark.e2e

VALUES: Values = with_values(example_values()["documents"], {"alerts": [{"sink": "events"}]})
TERMS = Terms(duration=3.0, deadline=2.0, retry=0.4)
POD = {"POD_NAME": "prod-reconciler-0", "POD_UID": "8d5f1c0e-0000-4000-8000-000000000001"}


@dataclass(frozen=True)
class Release:
    """One replica, `pod`, and the commands that people run in it."""

    pair: Replicas

    @property
    def server(self) -> ApiServer:
        return self.pair.kubernetes

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`kubectl exec`."""
        environment = {**clean_environment(self.pair.azure.environment), **self.pair.environment("pod")}
        command = [sys.executable, "-m", "reconciler", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)

    def said(self) -> str:
        """What the daemon has said so far, in its log and to its probes."""
        log = self.pair.log("pod")
        text = log.read_text()
        for each in told(log, "server.listening")[-1:]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{each['port']}/readyz", timeout=5) as answer:
                    text += answer.read().decode()
            except urllib.error.HTTPError as error:
                text += error.read().decode()
            except urllib.error.URLError:
                pass
        return text.replace('\\"', '"')

    def settled(self) -> bool:
        """Whether the last pass has found everything as declared."""
        planned = told(self.pair.log("pod"), "cycle.planned")
        return bool(planned) and planned[-1]["changes"] == 0

    def until(self, good: Callable[[], object], seconds: float = 45.0) -> None:
        end = time.monotonic() + seconds
        while not good():
            assert time.monotonic() < end, self.pair.log("pod").read_text()[-3000:]
            time.sleep(0.1)


@contextmanager
def released(folder: Path, rules: list[Document]) -> Iterator[Release]:
    """The daemon at work, with leave to do what the rules say."""
    objects = render(VALUES)
    name = find(objects, "Deployment")["metadata"]["name"]
    config = folder / "reconciler.yaml"
    config.write_text(find(objects, "ConfigMap", name)["data"]["reconciler.yaml"])
    home = Path(write_fleet(folder, "released", account("aoai-released")))
    (home / "fleet.yaml").rename(folder / "fleet.yaml")
    with azure(folder) as sim, served_apart(ApiServer()) as server:
        server.roles["pod"] = rules
        settings = {"RECONCILER_CONFIG": str(config), "RECONCILER_INTERVAL": "60s", **POD}
        with replicas(Replicas(sim, server, folder, TERMS, settings)) as pair:
            pair.start("pod")
            yield Release(pair)


def role_without(right: Right | None) -> list[Document]:
    """The rules of the rendered Role, one right less."""
    rights = [each for each in granted(VALUES) if each != right]
    return [
        {"apiGroups": [each.group], "resources": [each.resource], "verbs": [each.verb]}
        | ({"resourceNames": [each.name]} if each.name else {})
        for each in rights
    ]


def edit(release: Release) -> None:
    """Somebody opens an account behind its back."""
    ids = [id for id in release.pair.azure.resources() if id.lower().endswith("/accounts/aoai-released")]
    release.pair.azure.mutate("PATCH", ids[0], {"properties": {"publicNetworkAccess": "Enabled"}})


def test_a_release_asks_for_exactly_what_its_role_grants(tmp_path: Path) -> None:
    with released(tmp_path, find(render(VALUES), "Role")["rules"]) as release:
        log = release.pair.log("pod")
        release.until(release.settled)
        edit(release)
        release.until(lambda: told(log, "alert.resolved"))
        for words in (["pause", "--until", "2h"], ["pause"], ["resume"]):
            done = release.run(*words)
            assert done.returncode == 0, done.stderr
        assert release.pair.end("pod", signal.SIGTERM) == 0
        release.pair.start("pod")
        release.until(lambda: len(told(log, "leader.began")) > 1)
        assert release.pair.end("pod", signal.SIGTERM) == 0
        assert [each for each in release.server.seen if each.status == 403] == []
        assert {right for each in release.server.seen for right in each.rights} == granted(VALUES)


@pytest.mark.parametrize(
    "right", sorted(granted(VALUES), key=str), ids=lambda right: f"{right.verb}-{right.resource}-{right.name}"
)
def test_a_right_that_is_missing_is_named(tmp_path: Path, right: Right) -> None:
    with released(tmp_path, role_without(right)) as release:
        refusal = f'cannot {right.verb} resource "{right.resource}" in API group "{right.group}"'
        heard = ""
        if right.resource == "events":
            release.until(release.settled)
            edit(release)
        if right.resource == "configmaps":
            for until in ("2h", "3h"):
                heard += release.run("pause", "--until", until).stderr
        release.until(lambda: refusal in heard + release.said())
