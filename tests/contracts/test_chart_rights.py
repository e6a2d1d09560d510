"""The chart's Role permits exactly the calls that the product makes: seen at an API server, verb by verb."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from reconciler.model.alert import Alert, Letter, Level, Turn
from reconciler.runtime.journal import ConfigMapStore
from reconciler.runtime.kube import Kube, find_place
from reconciler.runtime.lease import Elector, Terms
from reconciler.runtime.sinks import KubeEvents, Regarding
from tests.support.chart import Object, Values, example_values, find, render, with_values
from tests.support.kubernetes import ApiServer, served
from tests.support.virtual_time import LoopClock

EXAMPLES = example_values()
# What each method is called where rights are given.
_VERBS = {"GET": "get", "PUT": "update", "POST": "create", "PATCH": "patch", "DELETE": "delete"}

# Group, resource, name ("" where none can be given), verb.
Right = tuple[str, str, str, str]


def granted(values: Values) -> set[Right]:
    rules: list[Object] = find(render(values), "Role")["rules"]
    return {
        (group, resource, name, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
        for verb in rule["verbs"]
    }


def asked(server: ApiServer) -> set[Right]:
    return {_read(each.path, each.verb) for each in server.seen}


def _read(path: str, method: str) -> Right:
    """Of `/apis/GROUP/VERSION/namespaces/NAMESPACE/RESOURCE[/NAME]`, or `/api/VERSION/…`."""
    parts = path.split("?")[0].strip("/").split("/")
    group = parts[1] if parts[0] == "apis" else ""
    rest = parts[parts.index("namespaces") + 2 :]
    return group, rest[0], rest[1] if len(rest) > 1 else "", _VERBS[method]


def named(values: Values) -> tuple[str, str]:
    """What the chart calls the lease and the journal."""
    import yaml

    name = find(render(values), "Deployment")["metadata"]["name"]
    settings = yaml.safe_load(find(render(values), "ConfigMap", name)["data"]["reconciler.yaml"])
    return settings["leaseName"], settings["journal"].removeprefix("configmap:")


async def work(server: ApiServer, folder: Path, values: Values, *, events: bool) -> None:
    """Everything that the product does at an API server: lead, remember, tell; from nothing, and from what is there."""
    lease, journal = named(values)
    clock = LoopClock(1.8e9)
    async with Kube.open(find_place(server.client("a", folder / "a"), str(folder / "a"), "")) as kube:
        for _ in range(2):
            await _lead(kube, lease, clock)
            store = ConfigMapStore(kube, journal)
            await store.load()
            assert await store.save("{}") == ""
            assert await store.save("[]") == ""
        if events:
            alert = Alert(key="k", name="ReconcilerDrift", level=Level.CRITICAL, summary="s", began=1.8e9)
            letter = Letter(sink="events-1", turn=Turn.OPENED, alert=alert, written=1.8e9, due=1.8e9)
            assert (await KubeEvents(kube, Regarding(name="pod-1"), clock)(letter)).why == ""


async def _lead(kube: Kube, name: str, clock: LoopClock) -> None:
    elector = Elector(kube, name, identity="a", terms=Terms(), clock=clock, chance=Random(1))
    import asyncio

    led = asyncio.Event()
    task = asyncio.ensure_future(elector.keep(lambda _why: led.set()))
    await led.wait()
    await asyncio.sleep(2 * Terms().retry)
    task.cancel()
    await asyncio.wait({task})
    await elector.release()


@pytest.mark.parametrize("name", ["documents", "git"])
async def test_the_role_permits_exactly_what_is_asked_for(name: str, tmp_path: Path) -> None:
    values = EXAMPLES[name]
    events = any(sink["sink"] == "events" for sink in values.get("alerts", []))
    async with served(tmp_path) as server:
        await work(server, tmp_path, values, events=events)
        assert asked(server) == granted(values)


def test_events_are_permitted_only_where_a_sink_writes_them() -> None:
    quiet = {resource for _, resource, _, _ in granted(EXAMPLES["documents"])}
    told = {resource for _, resource, _, _ in granted(with_values(EXAMPLES["documents"], {"alerts": [{"sink": "events"}]}))}
    assert told - quiet == {"events"}


def test_the_binding_binds_the_account_of_the_pod() -> None:
    for values in EXAMPLES.values():
        objects = render(values)
        for binding in (each for each in objects if each["kind"] == "RoleBinding"):
            account = find(objects, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"]
            assert [each["name"] for each in binding["subjects"]] == [account]
            assert binding["roleRef"]["name"] == find(objects, "Role")["metadata"]["name"]
