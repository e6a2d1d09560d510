"""Of the SDK that much is loaded as is used: in a process of its own, since what is loaded stays."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LOOK = """
import gc, json, sys
from reconciler.cloud.gateway import client_class

def memory():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

before = memory()
class Anonymous:
    async def get_token(self, *scopes, **options): ...

client = client_class("network")(Anonymous(), "00000000-0000-0000-0000-000000000001")
took = memory() - before
client_class("cognitiveservices")
told = {
    "took": took,
    "kept": hasattr(client.network_security_groups, "list_all"),
    "left out": hasattr(client.application_gateways, "list_all"),
    "models": [name for name in sys.modules if name.startswith("azure.mgmt.network.models.")],
    "others": sys.modules["azure.mgmt.cognitiveservices.models"].CheckDomainAvailabilityParameter.__module__,
    "finders": [type(each).__module__ for each in sys.meta_path if "reconciler" in type(each).__module__],
}
print(json.dumps(told))
"""
BEFORE = "import azure.mgmt.network.aio, azure.mgmt.network.models as models; whole = models.Subnet\n"
AFTER = "assert models.Subnet is whole and client.application_gateways.list_all\n"


def look(text: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def told() -> Any:
    look(LOOK)  # compiling takes memory of its own
    return look(LOOK)


def test_operations_that_no_kind_names_and_models_are_not_loaded(told: Any) -> None:
    assert told["kept"]
    assert not told["left out"]
    assert told["models"] == []


def test_the_package_of_networks_takes_a_fraction_of_what_it_is(told: Any) -> None:
    assert told["took"] < 25  # MiB; 42 if it is loaded whole


def test_other_packages_and_later_imports_are_what_they_were(told: Any) -> None:
    assert told["others"].startswith("azure.mgmt.cognitiveservices.models")
    assert told["finders"] == []


def test_what_somebody_has_loaded_before_stays_whole() -> None:
    assert look(BEFORE + LOOK + AFTER)["left out"]
