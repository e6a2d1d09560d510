"""Quota as Azure tells it: whole regions or none, and other people's deployments where somebody asks."""

from __future__ import annotations

import pytest

from reconciler.model.finding import FaultClass
from reconciler.model.ports import Cloud
from reconciler.model.quota import QuotaScope
from tests.cloud.conftest import Azure

pytestmark = pytest.mark.virtual_time

REGIONS = frozenset({"swedencentral", "eastus2"})


def scope(azure: Azure, *locations: str, **more: object) -> QuotaScope:
    return QuotaScope(subscription=azure.sim.subscription_id, locations=frozenset(locations), **more)  # type: ignore[arg-type]


async def test_two_lists_per_region_tell_use_limit_and_terms(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts("one", deployments=3)
    limits = {"swedencentral": {"OpenAI.GlobalStandard.gpt-4o": 77}}
    await azure.seed(limits={azure.sim.subscription_id: limits})
    found = await cloud.measure(scope(azure, *REGIONS))
    assert found.requests == len(await azure.requests()) == 4
    assert found.markets.keys() == REGIONS
    here = found.markets["swedencentral"]
    usage = here.usages["openai.globalstandard.gpt-4o"]
    assert (usage.name, usage.used, usage.limit) == ("OpenAI.GlobalStandard.gpt-4o", 3, 77)
    pools = {
        terms.usage for offer, terms in here.terms.items() if (offer.model, offer.sku) == ("gpt-4.1", "globalbatch")
    }
    assert pools == {"OpenAI.GlobalBatch.gpt-4.1"}
    pools = {
        terms.usage for offer, terms in here.terms.items() if (offer.model, offer.sku) == ("gpt-4.1", "globalstandard")
    }
    assert pools == {"OpenAI.GlobalStandard.gpt4.1"}


@pytest.mark.parametrize("name", ["usages", "models"])
async def test_a_region_of_which_one_list_fails_is_not_known_at_all(azure: Azure, cloud: Cloud, name: str) -> None:
    match = {"path": f"eastus2/{name}$"}
    await azure.fault(kind="status", status=403, code="AuthorizationFailed", match=match, count=-1)
    found = await cloud.measure(scope(azure, *REGIONS))
    assert found.markets.keys() == {"swedencentral"}
    assert found.unread["eastus2"].cls is FaultClass.FORBIDDEN


async def test_a_passing_fault_of_a_list_is_outlasted(azure: Azure, cloud: Cloud) -> None:
    await azure.fault(kind="status", status=503, match={"path": "/usages$"}, count=2)
    assert (await cloud.measure(scope(azure, "eastus2"))).markets.keys() == {"eastus2"}


async def test_the_model_list_is_believed_for_a_while_and_usages_never(azure: Azure, cloud: Cloud) -> None:
    assert (await cloud.measure(scope(azure, "eastus2"))).requests == 2
    assert (await cloud.measure(scope(azure, "eastus2"))).requests == 1
    await azure.clock.sleep(601)
    assert (await cloud.measure(scope(azure, "eastus2"))).requests == 2


async def test_what_strangers_hold_is_told_and_who_could_not_be_looked_into(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts("theirs", "closed", fleet="other", deployments=2)
    theirs, closed = azure.account("theirs"), azure.account("closed")
    gone = azure.account("gone")
    await azure.fault(kind="status", status=403, match={"path": "/accounts/closed/deployments$"}, count=-1)
    accounts = {theirs: "swedencentral", closed: "swedencentral", gone: "swedencentral"}
    found = await cloud.measure(scope(azure, surveys=frozenset({"swedencentral"}), accounts=accounts))
    assert [(each.id.parent, each.offer.model, each.units) for each in found.strangers] == [(theirs, "gpt-4o", 1)] * 2
    assert found.strangers[0].offer.location == "swedencentral"
    assert [*found.unseen] == [closed]
    assert found.surveyed == {"swedencentral"}


MODEL = ("openai", "gpt-4o", "2024-11-20")


async def test_one_request_tells_what_a_model_has_hardware_for_in_every_region(azure: Azure, cloud: Cloud) -> None:
    await azure.seed(capacities=[{"location": "swedencentral", "model": "gpt-4o", "available": 7}])
    found = await cloud.measure(scope(azure, models=frozenset({MODEL})))
    assert found.requests == len(await azure.requests()) == 1
    here = {offer.sku: units for offer, units in found.hardware.items() if offer.location == "swedencentral"}
    assert here["globalstandard"] == 7
    assert {offer.location for offer in found.hardware} > {"swedencentral", "eastus2"}
    assert {(offer.format, offer.model, offer.version) for offer in found.hardware} == {MODEL}
    assert found.unsure == {}


async def test_what_hardware_there_is_may_remain_unknown(azure: Azure, cloud: Cloud) -> None:
    await azure.fault(
        kind="status", status=403, code="AuthorizationFailed", match={"path": "/modelCapacities$"}, count=-1
    )
    found = await cloud.measure(scope(azure, models=frozenset({MODEL})))
    assert found.hardware == {}
    assert found.unsure[MODEL].cls is FaultClass.FORBIDDEN


async def test_of_a_watched_region_the_usages_alone_are_asked(azure: Azure, cloud: Cloud) -> None:
    found = await cloud.measure(scope(azure, "eastus2", watched=REGIONS))
    assert found.markets.keys() == {"eastus2"}
    assert found.usages.keys() == {"swedencentral"}
    assert found.usages["swedencentral"]["openai.globalstandard.gpt-4o"].name == "OpenAI.GlobalStandard.gpt-4o"
    lists = [str(each["path"]).rpartition("/locations/")[2] for each in await azure.requests()]
    assert sorted(lists) == ["eastus2/models", "eastus2/usages", "swedencentral/usages"]
    assert found.usages_of("eastus2") == found.markets["eastus2"].usages
    assert found.usages_of("swedencentral") == found.usages["swedencentral"]
    assert found.usages_of("westeurope") is None


async def test_a_watched_region_that_cannot_be_read_is_unread(azure: Azure, cloud: Cloud) -> None:
    await azure.fault(kind="status", status=403, code="AuthorizationFailed", match={"path": "/usages$"}, count=-1)
    found = await cloud.measure(scope(azure, watched=frozenset({"eastus2"})))
    assert (found.unread["eastus2"].cls, found.usages) == (FaultClass.FORBIDDEN, {})
