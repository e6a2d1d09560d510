"""Laws of single examples: what each is there to show, tried against the simulated Azure."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.model.plan import DecisionState, Plan
from tests.laws.stage import Stage, told
from tests.laws.test_fixpoint import plenty

pytestmark = pytest.mark.virtual_time

ISOLATED = Path(__file__).parents[2] / "desired_state" / "examples" / "isolated-subscription"
LISTS = ("privateLinkServiceConnections", "manualPrivateLinkServiceConnections")


def asking(folder: Path) -> str:
    """The documents of the main fleet, with an endpoint that asks the gateway's owner."""
    text = "\n---\n".join(each.read_text() for each in sorted((folder / "main").glob("*.yaml")))
    asked = text.replace("  approval: automatic\n", "  approval: manual\n  requestMessage: from main\n")
    assert asked != text
    return asked


def of_endpoint(plan: Plan) -> tuple[DecisionState, str, str]:
    found = next(each for each in plan.decisions if str(each.ref) == "PrivateEndpoint/pe-openai-gateway")
    return found.state, found.code, found.reason


async def test_an_endpoint_that_asks_the_gateway_of_another_subscription_waits_for_its_owner(azure: Stage) -> None:
    fleet = azure.load(asking(ISOLATED))
    await azure.seed_world(limits=plenty(fleet.subscription))
    plan = (await azure.converge(fleet))[-1].plan
    state, code, reason = of_endpoint(plan)
    assert (state, code) == (DecisionState.BLOCKED, "approval_pending")
    assert reason == "waits for the owner of agw-openai to approve the connection: from main"
    assert [decision.state for decision in plan.decisions].count(DecisionState.BLOCKED) == 1
    endpoint = next(id for id in fleet.desired if id.type == "Microsoft.Network/privateEndpoints")
    properties = azure.resource(endpoint)["properties"]
    (row,) = (each for name in LISTS for each in properties[name])
    row["properties"]["privateLinkServiceConnectionState"]["status"] = "Approved"
    await azure.mutate("PATCH", endpoint, {"properties": properties}, "owner@example.com")
    assert told(await azure.dry_run(fleet)) == []
