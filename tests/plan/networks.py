"""Fleets of networks and accounts in few words, as documents, and the Azure that they converge on."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from reconciler.desired import load_estate
from reconciler.model.finding import Severity
from reconciler.model.ids import ArmId
from reconciler.model.plan import Decision, DecisionState, Plan, Step
from reconciler.model.resource import Fleet
from reconciler.plan import make_plan
from tests.support.builders import SUBSCRIPTION, PlainAzure

Document = dict[str, Any]
COGNITIVE = "Microsoft.CognitiveServices"
GROUP = ArmId(subscription=SUBSCRIPTION, group="rg-ai")


def _document(kind: str, name: str, lifecycle: Document | None = None, **spec: Any) -> Document:
    said: Document = {"apiVersion": "reconciler/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    return {**said, "lifecycle": lifecycle} if lifecycle else said


def account(name: str = "one", lifecycle: Document | None = None, **spec: Any) -> Document:
    """A closed account; what is said opens it."""
    closed = {"customSubDomainName": name, "publicNetworkAccess": "Disabled"}
    acls = {"defaultAction": "Deny", "bypass": "None", **(spec.pop("acls", None) or {})}
    return _document("Account", name, lifecycle, **{**closed, "networkAcls": acls, **spec})


def rule(name: str, priority: int, source: str = "Any", **more: Any) -> Document:
    """Let `source` in on 443."""
    plain = {"direction": "Inbound", "access": "Allow", "protocol": "Tcp", "destinationAddressPrefix": "Any"}
    port = {"destinationPortRange": "443", "sourceAddressPrefix": source}
    return {"name": name, "priority": priority, **plain, **port, **more}


def deny(name: str = "deny", priority: int = 4096, **more: Any) -> Document:
    return rule(name, priority, access="Deny", protocol="Any", **{"destinationPortRange": "Any", **more})


def group(name: str, *rules: Document, **more: Any) -> Document:
    return _document("NetworkSecurityGroup", name, securityRules=list(rules), **more)


def network(*subnets: Document) -> Document:
    return _document("VirtualNetwork", "net", addressSpace={"addressPrefixes": ["10.0.0.0/16"]}, subnets=list(subnets))


def subnet(name: str, number: int, group: str | None = None, **more: Any) -> Document:
    said: Document = {"name": name, "addressPrefix": f"10.0.{number}.0/24", **more}
    return {**said, "networkSecurityGroup": group} if group else said


def backend(group: str | None = None, **more: Any) -> Document:
    """A subnet for endpoints whose security group acts on them."""
    return subnet("backend", 2, group, **{"privateEndpointNetworkPolicies": "NetworkSecurityGroupEnabled", **more})


def endpoint(name: str = "pe", to: str = "one", subnet: str = "net/backend", **more: Any) -> Document:
    return _document("PrivateEndpoint", name, account=to, subnet=subnet, **more)


def fleet(*documents: Document, **spec: Any) -> Fleet:
    """The fleet that these documents make; fails where one of them is wrong."""
    head = _document("Fleet", "law", subscription=SUBSCRIPTION, resourceGroup="rg-ai", location="swedencentral", **spec)
    with TemporaryDirectory(prefix="desired-") as folder:
        place = Path(folder) / "fleet.yaml"
        place.write_text(yaml.safe_dump_all([head, _document("ResourceGroup", "rg-ai"), *documents]), encoding="utf-8")
        estate = load_estate((place,), {})
    errors = [str(each) for each in estate.findings if each.severity is Severity.ERROR]
    assert not errors, errors
    return estate.fleets[0]


def standing(*documents: Document, **spec: Any) -> PlainAzure:
    """An Azure in which everything is as these documents say."""
    azure = PlainAzure()
    for _ in range(3):
        azure.converge(fleet(*documents, **spec))
    return azure


def plan_of(azure: PlainAzure, *documents: Document, **spec: Any) -> Plan:
    return make_plan(fleet(*documents, **spec), azure.snapshot())


def names_of(plan: Plan) -> list[str]:
    """The writes in the order of the plan."""
    return [step.name for step in plan.steps]


def waits_for(plan: Plan, step: str) -> set[str]:
    """Everything that must have happened before a step."""
    by_name: dict[str, Step] = {each.name: each for each in plan.steps}
    found: set[str] = set()
    left = [step]
    while left:
        for name in by_name[left.pop()].after:
            if name in by_name and name not in found:
                found.add(name)
                left.append(name)
    return found


def decision(plan: Plan, ref: str) -> Decision:
    return next(each for each in plan.decisions if str(each.ref) == ref)


def blocked(plan: Plan) -> dict[str, tuple[str, str]]:
    """Code and reason of everything that is refused."""
    refused = (each for each in plan.decisions if each.state is DecisionState.BLOCKED)
    return {str(each.ref): (each.code, each.reason) for each in refused}
