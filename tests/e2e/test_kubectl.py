"""The API server of the tests as kubectl sees it, and a daemon's lease as whoever is on duty sees it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reconciler.runtime.lease import Terms
from tests.cli.fleets import account, write_fleet
from tests.support.kubernetes import NAMESPACE, ApiServer, served_apart
from tests.support.replicas import Replicas, replicas
from tests.support.simulated import azure

pytestmark = pytest.mark.e2e

LEASE = """
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: mine}
spec: {holderIdentity: a, leaseDurationSeconds: 15, renewTime: "2026-11-28T15:00:00.000000Z"}
"""


@dataclass(frozen=True)
class Kubectl:
    """kubectl as one client of one API server."""

    program: str
    config: Path

    def run(self, *words: str, given: str = "", code: int = 0) -> str:
        """What it says; an error if it ends with another code than `code`."""
        done = subprocess.run(
            [self.program, "--kubeconfig", str(self.config), "--request-timeout", "20s", *words],
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"PATH": os.environ["PATH"], "HOME": str(self.config.parent)},
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def get(self, *words: str) -> Any:
        return json.loads(self.run("get", *words, "-o", "json"))


def find_kubectl(folder: Path) -> str:
    """The one that is installed, else Debian's, unpacked and not installed; "" where neither is to be had."""
    if installed := shutil.which("kubectl"):
        return installed
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        return ""
    fetched = subprocess.run(["apt-get", "download", "kubernetes-client"], cwd=folder, capture_output=True, check=False)
    packages = sorted(folder.glob("kubernetes-client_*.deb"))
    if fetched.returncode or not packages:
        return ""
    subprocess.run(["dpkg", "-x", str(packages[-1]), str(folder / "unpacked")], check=True)
    return str(folder / "unpacked" / "usr" / "bin" / "kubectl")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    found = find_kubectl(tmp_path_factory.mktemp("kubectl"))
    if not found:
        pytest.skip("there is no kubectl, and Debian's package kubernetes-client cannot be fetched")
    return found


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with served_apart(ApiServer()) as started:
        yield started


@pytest.fixture
def kubectl(program: str, server: ApiServer, tmp_path: Path) -> Kubectl:
    server.client("admin", tmp_path / "admin")
    authority = base64.b64encode((tmp_path / "admin" / "ca.crt").read_bytes()).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": server.url, "certificate-authority-data": authority}}],
        "users": [{"name": "admin", "user": {"token": server.token("admin")}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "admin", "namespace": NAMESPACE}}],
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    return Kubectl(program, tmp_path / "kubeconfig")


def apply(kubectl: Kubectl, document: str, code: int = 0) -> str:
    # There is no OpenAPI to validate against; what is wrong is for the server to say.
    return kubectl.run("apply", "--validate=false", "-f", "-", given=document, code=code)


def test_kubectl_works_with_it_as_with_any_other(kubectl: Kubectl) -> None:
    assert "v1.32.0" in kubectl.run("version")
    listed = kubectl.run("api-resources", "--no-headers")
    assert {line.split()[0] for line in listed.splitlines()} == {"configmaps", "leases", "events"}
    assert "lease.coordination.k8s.io/mine created" in apply(kubectl, LEASE)
    assert "lease.coordination.k8s.io/mine unchanged" in apply(kubectl, LEASE)
    assert "lease.coordination.k8s.io/mine configured" in apply(kubectl, LEASE.replace("15,", "30,"))
    assert kubectl.get("lease", "mine")["spec"]["leaseDurationSeconds"] == 30
    kubectl.run("patch", "lease", "mine", "--type", "merge", "-p", '{"spec": {"holderIdentity": ""}}')
    assert [each["metadata"]["name"] for each in kubectl.get("leases")["items"]] == ["mine"]
    kubectl.run("delete", "lease", "mine", "--wait=false")
    assert 'leases.coordination.k8s.io "mine" not found' in kubectl.run("get", "lease", "mine", code=1)


def test_kubectl_is_told_what_is_wrong_in_the_server_s_words(kubectl: Kubectl, server: ApiServer) -> None:
    told = apply(kubectl, LEASE.replace(".000000Z", "Z"), code=1)
    assert 'cannot parse "Z" as ".000000"' in told
    told = apply(kubectl, LEASE.replace("15,", "0,"), code=1)
    assert "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0" in told
    server.rotate("admin")
    assert "must be logged in" in kubectl.run("get", "leases", code=1)


def test_whoever_is_on_duty_sees_who_leads_and_can_have_it_given_up(
    kubectl: Kubectl, server: ApiServer, tmp_path: Path
) -> None:
    write_fleet(tmp_path, "duty", account("aoai-duty"))
    (tmp_path / "duty" / "fleet.yaml").rename(tmp_path / "fleet.yaml")
    terms = Terms(duration=3.0, deadline=2.0, retry=0.4)
    with azure(tmp_path) as sim, replicas(Replicas(sim, server, tmp_path, terms)) as pair:
        pair.start("a")
        pair.await_leader(within=15)
        pair.start("b")
        pair.await_standing("b")
        spec = kubectl.get("lease", "reconciler")["spec"]
        assert spec["holderIdentity"].startswith("a_")
        assert (spec["leaseDurationSeconds"], spec["leaseTransitions"]) == (3, 0)
        # With the holder of somebody who is not there, whoever leads stops, and nobody leads until the lease runs out.
        kubectl.run("patch", "lease", "reconciler", "--type", "merge", "-p", '{"spec": {"holderIdentity": "me"}}')
        pair.await_leader(but="me", within=terms.duration + 2 * terms.retry + 1.0)
        pair.check()
