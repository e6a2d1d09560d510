"""Versions that the service moves by itself, and models that retire."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from armsim.clock import EPOCH
from armsim.settings import Settings
from tests.armsim.asking import ACCOUNTS, CS, Asker, model
from tests.armsim.test_deployments import usage

DAY = 86_400.0
OLD, NEW, NEWEST = "2024-05-13", "2024-08-06", "2024-11-20"
D1 = f"{ACCOUNTS}/a1/deployments/d1"


@pytest.fixture
def settings() -> Settings:
    """What is announced happens at once."""
    return Settings(version_moves=(0.0, 0.0))


def after(days: float) -> str:
    return datetime.fromtimestamp(EPOCH + days * DAY, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def entry(version: str, name: str = "gpt-4o", skus: Sequence[str] = ("GlobalStandard",), **more: Any) -> dict[str, Any]:
    rate = {"key": "token", "renewalPeriod": 60, "count": 1000 if name == "gpt-4o" else 500}
    offered = [
        {"name": sku, "usageName": f"OpenAI.{sku}.{name}", "capacity": {"maximum": 1000}, "rateLimits": [rate]}
        for sku in skus
    ]
    plain = {"format": "OpenAI", "name": name, "version": version, "skus": offered}
    return {**plain, "capabilities": {"chatCompletion": "true", "version": version}, **more}


def announce(version: str, days: float, name: str = "gpt-4o", lead: int = 7) -> dict[str, Any]:
    return {
        "targetModelName": name,
        "targetModelVersion": version,
        "autoUpgradeStartDate": after(days),
        "upgradeOnExpiryLeadTimeDays": lead,
    }


async def offer(asker: Asker, *models: dict[str, Any]) -> None:
    await asker.seed(models={"westeurope": list(models)})


async def deploy(asker: Asker, option: str | None, version: str = OLD, **more: Any) -> dict[str, Any]:
    body = model(version=version, **more)
    if option is not None:
        body["properties"]["versionUpgradeOption"] = option
    created = await asker.put(D1, body)
    assert created.status == 201, created.text
    return dict(created.body)


async def move_time(asker: Asker, days: float) -> None:
    await asker.advance(days * DAY)
    asker.token = await asker.sign_in()


async def version(asker: Asker, path: str = D1) -> str:
    found = (await asker.get(path)).body["properties"]["model"]
    return f"{found['name']} {found['version']}"


@pytest.mark.parametrize(
    ("option", "moved"),
    [
        (None, True),
        ("OnceNewDefaultVersionAvailable", True),
        ("OnceCurrentVersionExpired", False),
        ("NoAutoUpgrade", False),
    ],
)
async def test_a_new_default_moves_what_follows_the_default(asker: Asker, option: str | None, moved: bool) -> None:
    await offer(asker, entry(OLD, isDefaultVersion=True), entry(NEW))
    await asker.account()
    before = await deploy(asker, option)
    await offer(asker, entry(OLD), entry(NEW, isDefaultVersion=True))
    stored = (await asker.get(D1)).body
    assert stored["properties"]["model"]["version"] == (NEW if moved else OLD)
    assert stored["properties"]["capabilities"]["version"] == (NEW if moved else OLD)
    assert (stored["etag"] != before["etag"]) == moved
    assert stored["systemData"] == before["systemData"]
    assert stored["properties"]["provisioningState"] == "Succeeded"
    assert (stored["sku"], stored["properties"]["versionUpgradeOption"]) == (
        before["sku"],
        before["properties"]["versionUpgradeOption"],
    )


async def test_a_version_that_is_newer_than_the_new_default_stays(asker: Asker) -> None:
    await offer(asker, entry(OLD, isDefaultVersion=True), entry(NEW), entry(NEWEST))
    await asker.account()
    await deploy(asker, None, NEWEST)
    await offer(asker, entry(OLD), entry(NEW, isDefaultVersion=True), entry(NEWEST))
    assert await version(asker) == f"gpt-4o {NEWEST}"


async def test_a_new_default_that_is_not_offered_on_the_type_moves_nothing(asker: Asker) -> None:
    await offer(asker, entry(OLD, isDefaultVersion=True))
    await asker.account()
    await deploy(asker, None)
    await offer(asker, entry(OLD), entry(NEW, skus=["Standard"], isDefaultVersion=True))
    assert await version(asker) == f"gpt-4o {OLD}"


async def test_provisioned_deployments_are_never_moved(asker: Asker) -> None:
    skus = ["GlobalProvisionedManaged"]
    await offer(asker, entry(OLD, skus=skus, isDefaultVersion=True, replacementConfig=announce(NEW, 1)))
    await asker.account()
    await asker.seed(limits={asker.sim.subscription_id: {"westeurope": {f"OpenAI.{skus[0]}.gpt-4o": 100}}})
    await deploy(asker, None, sku=skus[0])
    await offer(asker, entry(OLD, skus=skus), entry(NEW, skus=skus, isDefaultVersion=True))
    await move_time(asker, 2)
    assert await version(asker) == f"gpt-4o {OLD}"


async def test_an_announced_upgrade_starts_at_its_date(slow: Asker) -> None:
    await slow.sim.control("PUT", "/_sim/settings", {"deployment_write": [0.0, 0.0]})
    await offer(slow, entry(OLD, replacementConfig=announce(NEW, 10)), entry(NEW))
    await slow.account()
    await deploy(slow, None)
    await move_time(slow, 9.9)
    assert await version(slow) == f"gpt-4o {OLD}"
    saved = await slow.sim.control("GET", "/_sim/state")
    await slow.sim.control("PUT", "/_sim/state", saved)
    await move_time(slow, 0.2)
    assert await version(slow) == f"gpt-4o {NEW}"
    # Whoever writes the old version again sees it moved again.
    assert (await slow.put(D1, model(version=OLD))).status == 200
    await slow.advance(1)
    assert await version(slow) == f"gpt-4o {NEW}"


async def test_an_upgrade_takes_up_to_two_weeks_and_comes_before_the_end(slow: Asker) -> None:
    await slow.sim.control(
        "PUT", "/_sim/settings", {"version_moves": [13 * DAY, 14 * DAY], "deployment_write": [0.0, 0.0]}
    )
    until: dict[str, Any] = {"deprecation": {"inference": after(20)}}
    await offer(slow, entry(OLD, replacementConfig=announce(NEW, 10), **until), entry(NEW))
    await slow.account()
    await deploy(slow, None)
    await move_time(slow, 19.9)
    assert await version(slow) == f"gpt-4o {OLD}"
    await move_time(slow, 0.2)
    assert await version(slow) == f"gpt-4o {NEW}"


async def test_an_expiring_version_is_left_the_announced_days_before(slow: Asker) -> None:
    await slow.sim.control("PUT", "/_sim/settings", {"deployment_write": [0.0, 0.0]})
    until: dict[str, Any] = {"deprecation": {"inference": after(20)}, "replacementConfig": announce(NEW, 1, lead=7)}
    await offer(slow, entry(OLD, **until), entry(NEW))
    await slow.account()
    await deploy(slow, "OnceCurrentVersionExpired")
    await move_time(slow, 12.9)
    assert await version(slow) == f"gpt-4o {OLD}"
    await move_time(slow, 0.2)
    assert await version(slow) == f"gpt-4o {NEW}"


async def test_a_replacement_may_be_another_model_with_another_pool(slow: Asker) -> None:
    await slow.sim.control("PUT", "/_sim/settings", {"deployment_write": [0.0, 0.0]})
    other = entry("2025-04-14", "gpt-4.1")
    await offer(slow, entry(OLD, replacementConfig=announce("2025-04-14", 1, "gpt-4.1")), other)
    await slow.account()
    await deploy(slow, None, capacity=10)
    await move_time(slow, 1)
    assert await version(slow) == "gpt-4.1 2025-04-14"
    assert (await slow.get(D1)).body["properties"]["rateLimits"][0]["count"] == 5000
    assert (await usage(slow, "OpenAI.GlobalStandard.gpt-4o"))[0] == 0
    assert (await usage(slow, "OpenAI.GlobalStandard.gpt-4.1"))[0] == 10


async def test_without_an_offered_replacement_the_default_takes_over(slow: Asker) -> None:
    await slow.sim.control("PUT", "/_sim/settings", {"deployment_write": [0.0, 0.0]})
    await offer(slow, entry(OLD, replacementConfig=announce("gone", 1)), entry(NEW, isDefaultVersion=True))
    await slow.account()
    await deploy(slow, None)
    await move_time(slow, 1)
    assert await version(slow) == f"gpt-4o {NEW}"


async def test_an_upgrade_waits_for_the_account_to_be_free(slow: Asker) -> None:
    await slow.sim.control("PUT", "/_sim/settings", {"deployment_write": [0.0, 0.0], "account_update": 60.0})
    await offer(slow, entry(OLD, replacementConfig=announce(NEW, 1)), entry(NEW))
    await slow.account()
    await deploy(slow, None)
    await move_time(slow, 1 - 60 / DAY)
    await slow.patch(f"{ACCOUNTS}/a1", {"properties": {"disableLocalAuth": True}})
    await slow.advance(59)
    assert await version(slow) == f"gpt-4o {OLD}"
    await slow.advance(120)
    assert await version(slow) == f"gpt-4o {NEW}"


async def test_a_restored_account_catches_up(slow: Asker) -> None:
    await offer(slow, entry(OLD, replacementConfig=announce(NEW, 1)), entry(NEW))
    await slow.seed(resources=[{"id": f"{ACCOUNTS}/a1", "deployments": [{"name": "d1", **model(version=OLD)}]}])
    await slow.sim.control("POST", "/_sim/mutate", {"method": "DELETE", "id": f"{ACCOUNTS}/a1"})
    await move_time(slow, 1.5)
    await slow.put(f"{ACCOUNTS}/a1", {"location": "westeurope", "properties": {"restore": True}})
    await slow.advance(1)
    assert await version(slow) == f"gpt-4o {NEW}"


async def test_a_retired_model_takes_no_write_and_what_is_not_moved_stays_as_it_is(slow: Asker) -> None:
    await slow.sim.control("PUT", "/_sim/settings", {"deployment_write": [0.0, 0.0]})
    until: dict[str, Any] = {"deprecation": {"inference": after(5)}, "replacementConfig": announce(NEW, 1)}
    await offer(slow, entry(OLD, lifecycleStatus="GenerallyAvailable", **until), entry(NEW))
    await slow.account()
    before = await deploy(slow, "NoAutoUpgrade")
    await move_time(slow, 4.9)
    body = {**model(version=OLD, capacity=11)}
    body["properties"]["versionUpgradeOption"] = "NoAutoUpgrade"
    assert (await slow.put(D1, body)).status == 200
    await move_time(slow, 0.2)
    stored = (await slow.get(D1)).body
    assert stored["properties"]["provisioningState"] == "Succeeded"
    assert stored["properties"]["model"] == before["properties"]["model"]
    assert (await slow.put(D1, body)).code == "ServiceModelDeprecated"
    assert (await slow.deploy("d2", version=OLD)).code == "ServiceModelDeprecated"
    rows = (await slow.get(f"{CS}/locations/westeurope/models")).body["value"]
    own = (await slow.get(f"{ACCOUNTS}/a1/models")).body["value"]
    for found in ([each["model"] for each in rows], own):
        told = {each["version"]: each.get("lifecycleStatus") for each in found}
        assert told == {OLD: "Deprecated", NEW: None}
    changed = {**body, "properties": {"model": {"format": "OpenAI", "name": "gpt-4o", "version": NEW}}}
    assert (await slow.put(D1, changed)).status == 200


async def test_a_type_that_retires_before_its_model_takes_no_new_deployment(slow: Asker) -> None:
    await slow.sim.control("PUT", "/_sim/settings", {"deployment_write": [0.0, 0.0]})
    offered = entry(OLD, skus=["GlobalStandard", "Standard"])
    offered["skus"][0]["deprecationDate"] = after(5)
    await offer(slow, offered)
    await slow.account()
    await deploy(slow, None)
    await move_time(slow, 5)
    assert (await slow.deploy("d2", version=OLD)).code == "ServiceModelDeprecated"
    assert (await slow.deploy("d2", version=OLD, sku="Standard")).status == 201
    assert (await slow.deploy("d1", version=OLD, capacity=12)).status == 200


async def test_a_new_default_of_one_region_moves_nothing_in_another(asker: Asker) -> None:
    await offer(asker, entry(OLD, isDefaultVersion=True), entry(NEW))
    await asker.account()
    await deploy(asker, None)
    await asker.seed(models={"Sweden Central": [entry(OLD, isDefaultVersion=True), entry(NEW)]})
    await asker.seed(models={"Sweden Central": [entry(OLD), entry(NEW, isDefaultVersion=True)]})
    assert await version(asker) == f"gpt-4o {OLD}"


async def test_who_opts_out_in_time_is_not_moved(slow: Asker) -> None:
    await slow.sim.control("PUT", "/_sim/settings", {"deployment_write": [0.0, 0.0], "version_moves": [DAY, DAY]})
    await offer(
        slow, entry(OLD, isDefaultVersion=True), entry(NEW, replacementConfig=announce(NEWEST, 1)), entry(NEWEST)
    )
    await slow.account()
    await deploy(slow, None)
    await slow.put(f"{ACCOUNTS}/a1/deployments/d2", model(version=NEW))
    await offer(slow, entry(OLD), entry(NEW, isDefaultVersion=True), entry(NEWEST))
    for name, own in (("d1", OLD), ("d2", NEW)):
        body = model(version=own)
        body["properties"]["versionUpgradeOption"] = "NoAutoUpgrade"
        assert (await slow.put(f"{ACCOUNTS}/a1/deployments/{name}", body)).status == 200
    await move_time(slow, 3)
    assert await version(slow) == f"gpt-4o {OLD}"
    assert await version(slow, f"{ACCOUNTS}/a1/deployments/d2") == f"gpt-4o {NEW}"


async def test_a_date_that_is_put_off_holds_for_what_waits(slow: Asker) -> None:
    await slow.sim.control("PUT", "/_sim/settings", {"deployment_write": [0.0, 0.0]})
    await offer(slow, entry(OLD, replacementConfig=announce(NEW, 1)), entry(NEW))
    await slow.account()
    await deploy(slow, None)
    await offer(slow, entry(OLD, replacementConfig=announce(NEW, 5)), entry(NEW))
    await move_time(slow, 4)
    assert await version(slow) == f"gpt-4o {OLD}"
    await move_time(slow, 1.1)
    assert await version(slow) == f"gpt-4o {NEW}"


async def test_a_version_without_a_successor_stays_to_the_end(slow: Asker) -> None:
    await slow.sim.control("PUT", "/_sim/settings", {"deployment_write": [0.0, 0.0]})
    await offer(slow, entry(OLD, isDefaultVersion=True, deprecation={"inference": after(1)}))
    await slow.account()
    await deploy(slow, None)
    await move_time(slow, 2)
    assert await version(slow) == f"gpt-4o {OLD}"
