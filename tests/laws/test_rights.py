"""Law: what Azure would not permit is blocked with a sentence before the first write, and all the rest converges."""

from __future__ import annotations

import random
from typing import Any

import pytest

from reconciler.model.outcome import Result
from reconciler.model.plan import Action, Decision, DecisionState, Plan
from reconciler.model.resource import Fleet
from tests.laws.stage import (
    Document,
    Stage,
    account_document,
    account_id,
    deployment,
    failures,
    fleet_document,
    group_document,
    network_document,
    network_id,
    told,
)

pytestmark = pytest.mark.virtual_time

CS, NET = "Microsoft.CognitiveServices", "Microsoft.Network"
READ = ["*/read"]
# Of the built-in roles what matters here.
CONTRIBUTOR = [f"{CS}/*", "Microsoft.Authorization/*/read", "Microsoft.Resources/*/read"]
OPENAI_CONTRIBUTOR = [
    f"{CS}/*/read",
    f"{CS}/accounts/deployments/write",
    f"{CS}/accounts/deployments/delete",
    f"{CS}/accounts/raiPolicies/write",
    f"{CS}/accounts/raiPolicies/delete",
]
GROUPS = "Microsoft.Resources/subscriptions/resourceGroups/write"


def subscription(azure: Stage) -> str:
    return f"/subscriptions/{azure.sim.subscription_id}"


def group(azure: Stage, name: str = "rg-law") -> str:
    return f"{subscription(azure)}/resourceGroups/{name}"


async def grant(azure: Stage, *grants: tuple[str, list[str]]) -> None:
    """What our identity may do from now on, by scope; it may read everything."""
    rows: list[Document] = [{"principal": "*", "scope": subscription(azure), "actions": READ, "notActions": []}]
    rows += [{"principal": "*", "scope": scope, "actions": actions, "notActions": []} for scope, actions in grants]
    await azure.set(rights_lag=0.0)
    await azure.sim.control("PUT", "/_sim/rights", {"grants": rows})


async def stand(azure: Stage, *documents: Document) -> None:
    """Have everything of these documents stand, by somebody who may do all."""
    assert (await azure.converge(azure.load(documents)))[-1].plan.converged
    await azure.forget()


async def refused(azure: Stage) -> list[tuple[str, str]]:
    """Writes that Azure has not permitted."""
    return [(each["method"], each["path"]) for each in await azure.requests() if each["status"] == 403]


def decision(plan: Plan, ref: str) -> Decision:
    return next(each for each in plan.decisions if str(each.ref) == ref)


async def converge(azure: Stage, fleet: Fleet) -> Plan:
    """Run to the end: the first plan, all of whose writes have gone well, with no refusal by Azure."""
    reports = await azure.converge(fleet)
    assert failures(reports) == []
    assert [each for each in await azure.writes() if each["status"] == 403] == []
    assert [*reports[-1].plan.steps] == [], told(reports[-1].plan)
    return reports[0].plan


def account(name: str, *names: str, **more: Any) -> Document:
    return account_document(name, deployments=[deployment(each) for each in names], **more)


async def test_without_the_right_to_purge_only_what_waits_for_the_purge_is_blocked(azure: Stage) -> None:
    fleet = [fleet_document(softDeleted="purge"), group_document()]
    await stand(azure, *fleet)
    gone = {"id": str(account_id(azure, "gone")), "location": "swedencentral", "kind": "OpenAI", "sku": {"name": "S0"}}
    await azure.seed_world(deletedAccounts=[{**gone, "tags": {"reconciler-fleet": "law"}, "properties": {}}])
    await grant(azure, (group(azure), CONTRIBUTOR))
    plan = await converge(azure, azure.load([*fleet, account("gone", "chat"), account("new", "chat")]))
    purge = next(each for each in plan.decisions if each.action is Action.PURGE)
    assert (purge.state, purge.code) == (DecisionState.BLOCKED, "not_permitted_by_azure")
    assert purge.reason == (
        f"{azure.sim.client_id} is not granted {CS}/locations/resourceGroups/deletedAccounts/delete on subscription "
        f"{azure.sim.subscription_id}"
    )
    assert purge.permit == (
        f"grant it Cognitive Services Contributor on subscription {azure.sim.subscription_id} (Azure checks purges "
        "there, whatever is granted in a group); a new grant takes some minutes to act"
    )
    assert decision(plan, "Account/gone").code == "needs"
    assert sorted(azure.resources()) == sorted(
        [group(azure).lower(), account_id(azure, "new").key, account_id(azure, "new").child("deployments", "chat").key]
    )


async def test_whoever_may_only_deploy_deploys_and_makes_no_account(azure: Stage) -> None:
    base = [fleet_document(), group_document()]
    await stand(azure, *base, account("old", "chat"))
    await grant(azure, (group(azure), OPENAI_CONTRIBUTOR))
    fleet = azure.load([*base, account("old", "chat", "more", tags={"team": "ai"}), account("new", "chat")])
    plan = await converge(azure, fleet)
    new, old = decision(plan, "Account/new"), decision(plan, "Account/old")
    assert (new.code, old.code) == ("not_permitted_by_azure", "not_permitted_by_azure")
    assert new.reason == f"{azure.sim.client_id} is not granted {CS}/accounts/write in resource group rg-law"
    assert new.permit == (
        "grant it Cognitive Services Contributor in resource group rg-law; a new grant takes some minutes to act"
    )
    assert [change.path for change in old.changes] == ["tags.team"]
    assert decision(plan, "Account/new/deployments/chat").code == "needs"
    assert account_id(azure, "old").child("deployments", "more").key in azure.resources()


async def test_deployments_that_may_not_be_deleted_stay_and_others_are_made(azure: Stage) -> None:
    base = [fleet_document(prune={"deployments": True}), group_document()]
    await stand(azure, *base, account("one", "chat", "spare"))
    await grant(azure, (group(azure), [f"{CS}/accounts/deployments/write"]))
    plan = await converge(azure, azure.load([*base, account("one", "chat", "more")]))
    spare = decision(plan, "Account/one/deployments/spare")
    assert spare.reason == (
        f"{azure.sim.client_id} is not granted {CS}/accounts/deployments/delete in resource group rg-law"
    )
    assert spare.permit.startswith("grant it Cognitive Services OpenAI Contributor in resource group rg-law; ")
    names = {id.rpartition("/")[2] for id in azure.resources() if "/deployments/" in id}
    assert names == {"chat", "spare", "more"}


def network_fleet() -> list[Document]:
    subnets = [{"name": "plain", "addressPrefix": "10.1.1.0/24"}, {"name": "ends", "addressPrefix": "10.1.2.0/24"}]
    return [
        fleet_document(),
        group_document(),
        network_document("VirtualNetwork", "vnet", addressSpace={"addressPrefixes": ["10.1.0.0/16"]}, subnets=subnets),
        account("one", customSubDomainName="one"),
    ]


async def test_an_endpoint_whose_subnet_may_not_be_joined_is_blocked_alone(azure: Stage) -> None:
    await stand(azure, *network_fleet())
    await grant(azure, (group(azure), [f"{CS}/*", f"{NET}/privateEndpoints/*"]))
    endpoint = network_document("PrivateEndpoint", "pe", subnet="vnet/ends", account="one")
    plan = await converge(azure, azure.load([*network_fleet(), endpoint, account("two")]))
    blocked = decision(plan, "PrivateEndpoint/pe")
    assert blocked.reason == (
        f"{azure.sim.client_id} is not granted {NET}/virtualNetworks/subnets/join/action on "
        "virtualNetworks/vnet/subnets/ends in resource group rg-law"
    )
    assert blocked.permit == (
        "grant it Network Contributor on virtualNetworks/vnet/subnets/ends in resource group rg-law; a new grant takes "
        "some minutes to act"
    )
    assert account_id(azure, "two").key in azure.resources()
    assert network_id(azure, "privateEndpoints", "pe").key not in azure.resources()


async def test_a_network_whose_subnets_name_what_may_not_be_joined_is_blocked_alone(azure: Stage) -> None:
    """A PUT of a network names again what its subnets name."""
    subnet = {"name": "apps", "addressPrefix": "10.1.1.0/24", "networkSecurityGroup": "guard"}
    base = [fleet_document(), group_document(), network_document("NetworkSecurityGroup", "guard", securityRules=[])]

    def network(*prefixes: str) -> Document:
        space = {"addressPrefixes": [*prefixes]}
        return network_document("VirtualNetwork", "vnet", addressSpace=space, subnets=[subnet])

    await stand(azure, *base, network("10.1.0.0/16"))
    await grant(azure, (group(azure), [f"{CS}/*", f"{NET}/virtualNetworks/*"]))
    plan = await converge(azure, azure.load([*base, network("10.1.0.0/16", "10.2.0.0/16"), account("one")]))
    blocked = decision(plan, "VirtualNetwork/vnet")
    assert blocked.reason.startswith(
        f"{azure.sim.client_id} is not granted {NET}/networkSecurityGroups/join/action on "
        "networkSecurityGroups/guard in resource group rg-law"
    )
    assert account_id(azure, "one").key in azure.resources()


async def test_a_role_on_the_subnet_itself_is_enough_to_join_it(azure: Stage) -> None:
    await stand(azure, *network_fleet())
    subnet = f"{network_id(azure, 'virtualNetworks', 'vnet')}/subnets/ends"
    await grant(azure, (group(azure), [f"{CS}/*", f"{NET}/privateEndpoints/*"]), (subnet, [f"{NET}/*"]))
    endpoint = network_document("PrivateEndpoint", "pe", subnet="vnet/ends", account="one")
    await converge(azure, azure.load([*network_fleet(), endpoint]))
    assert network_id(azure, "privateEndpoints", "pe").key in azure.resources()


async def test_a_role_on_the_account_itself_is_enough_to_deploy_in_it(azure: Stage) -> None:
    base = [fleet_document(), group_document()]
    await stand(azure, *base, account("one"), account("two"))
    await grant(azure, (str(account_id(azure, "one")), OPENAI_CONTRIBUTOR))
    plan = await converge(azure, azure.load([*base, account("one", "chat"), account("two", "chat")]))
    assert decision(plan, "Account/one/deployments/chat").acts
    assert decision(plan, "Account/two/deployments/chat").code == "not_permitted_by_azure"


async def test_a_group_that_is_not_there_is_made_by_whoever_may_do_so_in_the_subscription(azure: Stage) -> None:
    documents = [fleet_document(), group_document(), account("one", "chat")]
    await grant(azure, (subscription(azure), [f"{CS}/*"]))
    plan = await converge(azure, azure.load(documents))
    blocked = decision(plan, "ResourceGroup/rg-law")
    assert (
        blocked.reason == f"{azure.sim.client_id} is not granted {GROUPS} on subscription {azure.sim.subscription_id}"
    )
    assert blocked.permit.startswith(f"grant it Contributor on subscription {azure.sim.subscription_id}; ")
    assert azure.resources() == {}
    await grant(azure, (subscription(azure), [f"{CS}/*", GROUPS]))
    assert (await azure.converge(azure.load(documents)))[-1].plan.converged


async def test_whoever_has_only_a_group_converges_what_is_in_it_and_is_told_what_could_not_be_read(
    azure: Stage,
) -> None:
    base = [fleet_document(), group_document()]
    await stand(azure, *base, account("old"))
    rows = [{"principal": "*", "scope": group(azure), "actions": ["*"], "notActions": []}]
    await azure.set(rights_lag=0.0)
    await azure.sim.control("PUT", "/_sim/rights", {"grants": rows})
    plan = await converge(azure, azure.load([*base, account("old", "chat")]))
    assert plan.mandate is not None
    assert [what for what, _ in plan.mandate.unread] == [f"what is granted on subscription {azure.sim.subscription_id}"]
    assert account_id(azure, "old").child("deployments", "chat").key in azure.resources()


async def test_a_provider_that_is_not_registered_is_told_before_anything_of_it_is_made(azure: Stage) -> None:
    unregistered = [{"subscriptionId": azure.sim.subscription_id, "namespace": CS}]
    await azure.seed_world(unregisteredProviders=unregistered)
    documents = [fleet_document(), group_document(), account("one", "chat")]
    fleet = azure.load(documents)
    for plan in (await azure.dry_run(fleet), await converge(azure, fleet)):
        blocked = decision(plan, "Account/one")
        assert (blocked.state, blocked.code) == (DecisionState.BLOCKED, "provider_unregistered")
        assert blocked.reason == f"the subscription is not registered to use {CS}: Azure says NotRegistered"
        assert blocked.permit == (
            f"run `az provider register --namespace {CS} --subscription {azure.sim.subscription_id}`, which takes some "
            "minutes"
        )
        assert decision(plan, "Account/one/deployments/chat").code == "needs"
    assert [*azure.resources()] == [group(azure).lower()]
    assert [each for each in await azure.requests() if each["method"] == "POST" and "register" in each["path"]] == []


async def test_a_reader_sees_the_changes_and_what_whoever_applies_them_must_be_permitted(azure: Stage) -> None:
    base = [fleet_document(), group_document()]
    await stand(azure, *base)
    before = azure.load([*base, account("one", "chat")])
    writer = await azure.dry_run(before)
    await grant(azure)
    plan = await azure.dry_run(before)
    assert plan.digest == writer.digest
    assert {each.action for each in plan.decisions if each.acts} == {Action.CREATE}
    assert plan.mandate is not None
    (lack,) = plan.mandate.lacks
    assert lack.place == "in resource group rg-law"
    assert lack.actions == (f"{CS}/accounts/deployments/write", f"{CS}/accounts/write")
    assert lack.refs == ("Account/one", "Account/one/deployments/chat")
    assert lack.roles == ("Cognitive Services Contributor",)
    assert writer.mandate is not None
    assert writer.mandate.lacks == ()


async def test_what_is_permitted_cannot_be_read_and_nothing_is_blocked_for_it(azure: Stage) -> None:
    await azure.fault(kind="status", match={"path": "/permissions$"}, status=403, code="AuthorizationFailed", count=-1)
    fleet = azure.load([fleet_document(), group_document(), account("one", "chat")])
    reports = await azure.converge(fleet)
    assert reports[-1].plan.converged
    assert {each.result for each in reports[0].outcomes} == {Result.DONE}
    assert reports[0].plan.mandate is not None
    assert len(reports[0].plan.mandate.unread) == 1


# What a grant of everything may leave out.
TAKEN = (
    f"{CS}/accounts/write",
    f"{CS}/accounts/delete",
    f"{CS}/accounts/deployments/write",
    f"{CS}/accounts/deployments/delete",
    f"{CS}/accounts/raiPolicies/*",
    f"{CS}/accounts/privateEndpointConnectionsApproval/action",
    f"{CS}/locations/*/delete",
    f"{NET}/*/join/action",
    f"{NET}/virtualNetworks/subnets/joinViaServiceEndpoint/action",
    f"{NET}/virtualNetworks/subnets/write",
    f"{NET}/networkSecurityGroups/*",
    f"{NET}/privateEndpoints/write",
    f"{NET}/privateDnsZones/*",
    GROUPS,
)


def moving_fleets() -> tuple[list[Document], list[Document]]:
    """Two fleets between which something of every kind is made, changed, replaced and deleted."""
    head = fleet_document(
        prune={"accounts": True, "deployments": True, "privateEndpoints": True},
        softDeleted="purge",
    )
    group_before, group_after = group_document(), group_document(tags={"stage": "second"})
    subnets: list[Document] = [
        {"name": "apps", "addressPrefix": "10.1.1.0/24", "serviceEndpoints": [CS]},
        {"name": "ends", "addressPrefix": "10.1.2.0/24"},
    ]
    guarded = [{**subnets[0], "networkSecurityGroup": "guard"}, subnets[1]]
    space = {"addressPrefixes": ["10.1.0.0/16"]}
    zone = "privatelink.openai.azure.com"
    rules = {"defaultAction": "Deny", "virtualNetworkRules": ["vnet/apps"]}
    filters = [{"name": "strict", "basePolicyName": "Microsoft.DefaultV2"}]
    before = [
        group_before,
        network_document("VirtualNetwork", "vnet", addressSpace=space, subnets=subnets),
        account("one", "chat", "spare", customSubDomainName="one"),
        account("moves", "chat"),
        account("goes", "chat"),
        network_document("PrivateEndpoint", "old", subnet="vnet/ends", account="one"),
    ]
    after = [
        group_after,
        network_document("NetworkSecurityGroup", "guard", securityRules=[]),
        network_document("VirtualNetwork", "vnet", addressSpace=space, subnets=guarded),
        network_document("PrivateDnsZone", zone, virtualNetworkLinks=[{"name": "here", "virtualNetwork": "vnet"}]),
        account(
            "one",
            "chat",
            "more",
            customSubDomainName="one",
            networkAcls=rules,
            raiPolicies=filters,
        ),
        account("moves", "chat", location="westeurope"),
        account("new", "chat"),
        network_document("PrivateEndpoint", "pe", subnet="vnet/ends", account="one", privateDnsZones=[zone]),
    ]
    return [head, *before], [head, *after]


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_is_taken_no_write_is_refused_and_what_is_left_is_blocked_with_a_sentence(
    azure: Stage, seed: int
) -> None:
    chance = random.Random(seed)
    taken = chance.sample(TAKEN, chance.randint(1, 4))
    before, after = moving_fleets()
    await stand(azure, *before)
    await azure.set(rights_lag=0.0)
    rows = [{"principal": "*", "scope": subscription(azure), "actions": ["*"], "notActions": taken}]
    await azure.sim.control("PUT", "/_sim/rights", {"grants": rows})
    fleet = azure.load(after)
    await converge(azure, fleet)
    blocked = [each for each in (await azure.converge(fleet))[-1].plan.decisions if each.state is DecisionState.BLOCKED]
    assert "not_permitted_by_azure" in {each.code for each in blocked}
    assert [each for each in blocked if not each.permit] == []
    # Whoever has all rights goes on from there.
    await azure.sim.control("PUT", "/_sim/rights", {"grants": None})
    reports = await azure.converge(fleet)
    assert reports[-1].plan.converged, told(reports[-1].plan)


async def test_a_pass_with_nothing_to_do_asks_nobody_what_it_may_do(azure: Stage) -> None:
    fleet = azure.load([fleet_document(), group_document(), account("one", "chat")])
    await azure.converge(fleet)
    await azure.forget()
    plan = await azure.dry_run(fleet)
    assert plan.converged
    assert plan.mandate is None
    assert [each for each in await azure.requests() if "/permissions" in each["path"]] == []


async def test_a_run_asks_once_what_it_may_do(azure: Stage) -> None:
    fleet = azure.load([fleet_document(), group_document(), account("one", "chat")])
    reports = await azure.converge(fleet)
    asked = [each["path"] for each in await azure.requests() if each["path"].lower().endswith("/permissions")]
    assert len(asked) == len(set(asked))
    assert sum(report.requests for report in reports) == len(await azure.requests())
