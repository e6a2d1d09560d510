"""The chart's Role permits exactly the calls that the product makes: seen at an API server, verb by verb."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
import yaml

from reconciler.model.alert import Alert, Letter, Level, Turn
from reconciler.model.pause import Pause
from reconciler.model.ports import Alone
from reconciler.runtime.journal import ConfigMapStore
from reconciler.runtime.kube import Kube, Place, find_place
from reconciler.runtime.lease import Elector, Terms, stand
from reconciler.runtime.pauses import PauseMap
from reconciler.runtime.sinks import KubeEvents, Regarding
from tests.support.chart import Object, Values, example_values, find, render, with_values
from tests.support.kubernetes import ApiServer, Right, served
from tests.support.virtual_time import LoopClock

EXAMPLES = example_values()


def granted(values: Values) -> set[Right]:
    rules: list[Object] = find(render(values), "Role")["rules"]
    return {
        Right(group, resource, name, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
        for verb in rule["verbs"]
    }


def asked(server: ApiServer) -> set[Right]:
    return {right for each in server.seen for right in each.rights}


def settings_of(values: Values) -> Values:
    objects = render(values)
    name = find(objects, "Deployment")["metadata"]["name"]
    settings: Values = yaml.safe_load(find(objects, "ConfigMap", name)["data"]["reconciler.yaml"])
    return settings


async def work(place: Place, values: Values) -> None:
    """All that the product does at an API server: lead, remember, heed pauses, tell; at first, and again."""
    settings, clock = settings_of(values), LoopClock(1.8e9)
    async with Kube.open(place) as kube:
        for _ in range(2):
            await lead(kube, settings["leaseName"], clock)
            await keep(kube, settings["journalMap"])
            await pause(place, settings["pauseMap"])
        if any(sink["sink"] == "events" for sink in settings.get("alerts", [])):
            alert = Alert(key="k", name="ReconcilerDrift", level=Level.CRITICAL, summary="s", began=1.8e9)
            letter = Letter(sink="events-1", turn=Turn.OPENED, alert=alert, written=1.8e9, due=1.8e9)
            assert (await KubeEvents(kube, Regarding(name="pod-1"), clock)(letter)).why == ""


async def lead(kube: Kube, name: str, clock: LoopClock) -> None:
    elector = Elector(kube, name, identity="a", terms=Terms(), clock=clock, chance=Random(1))
    async with stand(elector, lambda _why: None):
        while elector.remaining() <= 0:
            await clock.sleep(0.1)
        await clock.sleep(2 * Terms().retry)


async def keep(kube: Kube, name: str) -> None:
    store = ConfigMapStore(kube, name, Alone())
    await store.load()
    assert await store.save("{}") == ""
    assert await store.save("[]") == ""


async def pause(place: Place, name: str) -> None:
    store = PauseMap(place, name)
    await store.load()
    await store.save((Pause(until=1.9e9),))


@pytest.mark.virtual_time
@pytest.mark.parametrize("name", ["documents", "git"])
async def test_the_role_permits_exactly_what_is_asked_for(name: str, tmp_path: Path) -> None:
    values = EXAMPLES[name]
    async with served(ApiServer()) as server:
        await work(find_place(server.client("a", tmp_path / "a"), str(tmp_path / "a"), ""), values)
        assert asked(server) == granted(values)


def test_events_are_permitted_only_where_a_sink_writes_them() -> None:
    quiet = {right.resource for right in granted(EXAMPLES["documents"])}
    noisy = with_values(EXAMPLES["documents"], {"alerts": [{"sink": "events"}]})
    assert {right.resource for right in granted(noisy)} - quiet == {"events"}


def test_the_binding_binds_the_account_of_the_pod() -> None:
    for values in EXAMPLES.values():
        objects = render(values)
        for binding in (each for each in objects if each["kind"] == "RoleBinding"):
            account = find(objects, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"]
            assert [each["name"] for each in binding["subjects"]] == [account]
            assert binding["roleRef"]["name"] == find(objects, "Role")["metadata"]["name"]
