"""Values for tests: fleets out of specs, snapshots out of JSON, and an Azure that is nothing but a dictionary.

`PlainAzure` echoes, fills in defaults and adds what servers add. It waits for nothing and refuses nothing; what Azure
refuses is the simulation's business.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.kinds import account, resource_group
from reconciler.kinds.base import Document, Kind, Setting, compose, compose_patch, settle
from reconciler.kinds.catalog import type_of
from reconciler.model.finding import Fault, FaultClass, Origin, Severity
from reconciler.model.ids import ArmId, Ref
from reconciler.model.lifecycle import Lifecycle
from reconciler.model.plan import Decision, Plan, Step, Verb
from reconciler.model.resource import (
    OWNER_TAG,
    Blind,
    CloudTarget,
    DeletedAccount,
    Desired,
    Fleet,
    FleetPolicy,
    Live,
    Snapshot,
    SoftDeleted,
)
from reconciler.model.wire import Json, JsonObject
from reconciler.plan import make_plan

SUBSCRIPTION = "00000000-0000-0000-0000-0000000000aa"
ACCOUNTS = account.TYPE.arm_type
DEPLOYMENTS = f"{ACCOUNTS}/deployments"
FILTERS = f"{ACCOUNTS}/raiPolicies"
GROUPS = "Microsoft.Resources/resourceGroups"
FLEET = "prod"
ORIGIN = Origin(file="fleet.yaml", line=1, column=1)
EVERY_WORD = frozenset({"replace", "delete", "purge", "capacityCut", "provisioned"})
SETTING = Setting(fleet=FLEET, subscription=SUBSCRIPTION, group="rg-ai", location="swedencentral")
OPEN_ACLS = {"defaultAction": "Deny", "ipRules": ["203.0.113.0/24"]}

Spec = dict[str, Any]
MANAGED = Lifecycle()


def group_id(name: str = "rg-ai") -> ArmId:
    return ArmId(subscription=SUBSCRIPTION, group=name)


def account_id(name: str = "one", group: str = "rg-ai") -> ArmId:
    return group_id(group).resource(ACCOUNTS, name)


def deployment_id(name: str = "d", of: str = "one") -> ArmId:
    return account_id(of).child("deployments", name)


def filter_id(name: str, of: str = "one") -> ArmId:
    return account_id(of).child("raiPolicies", name)


def account_spec(**more: Any) -> Spec:
    """A closed account, and whatever else is said."""
    return {"publicNetworkAccess": "Disabled", **more}


def open_spec(**more: Any) -> Spec:
    """An account that a few addresses may call."""
    return account_spec(publicNetworkAccess="Enabled", customSubDomainName="one", networkAcls=dict(OPEN_ACLS), **more)


def deployment_spec(name: str = "d", capacity: int = 10, **more: Any) -> Spec:
    model = {"name": "gpt-4o", "version": "2024-11-20"}
    return {"name": name, "model": model, "sku": {"name": "GlobalStandard", "capacity": capacity}, **more}


def document(kind: Kind, name: str, spec: Spec, lifecycle: Lifecycle = MANAGED, **labels: str) -> Document:
    return Document(
        ref=Ref(kind=kind.name, name=name),
        spec=kind.spec.model_validate(spec),
        lifecycle=lifecycle,
        labels=labels,
        origin=ORIGIN,
        name_origin=ORIGIN,
        place=lambda _path: ORIGIN,
    )


def declare_account(
    name: str = "one",
    spec: Spec | None = None,
    lifecycle: Lifecycle = MANAGED,
    setting: Setting = SETTING,
    **labels: str,
) -> tuple[Desired, ...]:
    """The resources that an Account document stands for; fails where the document is wrong."""
    expansion = account.KIND.expand(document(account.KIND, name, spec or account_spec(), lifecycle, **labels), setting)
    errors = [each for each in expansion.findings if each.severity is Severity.ERROR]
    assert not errors, errors
    return expansion.desired


def declare_group(
    name: str = "rg-ai", spec: Spec | None = None, lifecycle: Lifecycle = MANAGED, setting: Setting = SETTING
) -> tuple[Desired, ...]:
    expansion = resource_group.KIND.expand(document(resource_group.KIND, name, spec or {}, lifecycle), setting)
    assert not expansion.findings, expansion.findings
    return expansion.desired


def fleet_of(*declared: Iterable[Desired], name: str = FLEET, **policy: Any) -> Fleet:
    """A fleet of what `declare_account` and `declare_group` gave; keywords are those of its policy."""
    if "soft_deleted" in policy:
        policy["soft_deleted"] = SoftDeleted(policy["soft_deleted"])
    return Fleet(
        name=name,
        subscription=SUBSCRIPTION,
        target=CloudTarget(endpoint="https://arm", authority="https://login", audience="https://arm", credential="x"),
        desired={each.id: each for group in declared for each in group},
        policy=FleetPolicy(**policy),
        origin=ORIGIN,
    )


def live_of(id: ArmId, wire: JsonObject, owner: str | None = None, **more: Any) -> Live:
    """What an observation would make of `wire`; the owner of a child is given, that of all else is in its tags."""
    type_ = type_of(id.type)
    assert type_ is not None
    state, word = settle(type_, wire)
    tags = wire.get("tags")
    if type_.taggable and isinstance(tags, dict):
        owner = next((str(value) for key, value in tags.items() if key.lower() == OWNER_TAG), None)
    return Live(id=id, wire=wire, state=state, provisioning_state=word, owner=owner, **more)


def fault_of(code: str = "AuthorizationFailed", cls: FaultClass = FaultClass.FORBIDDEN) -> Fault:
    return Fault(cls=cls, code=code, message="no", status=403)


def blind_to(arm_type: str, scope: ArmId | None = None) -> Blind:
    return Blind(scope=scope or ArmId(subscription=SUBSCRIPTION), type=arm_type, fault=fault_of())


@dataclass
class PlainAzure:
    """Live resources and soft-deleted accounts by id, as their JSON; `after_write` is told of every write."""

    live: dict[ArmId, JsonObject] = field(default_factory=dict)
    deleted: dict[ArmId, JsonObject] = field(default_factory=dict)
    after_write: Callable[[Step, JsonObject | None], None] = lambda _step, _body: None

    def snapshot(self, **more: Any) -> Snapshot:
        """What is there; children belong to whom their account belongs."""
        found: dict[ArmId, Live] = {}
        for id in sorted(self.live):
            owner = found[id.parent].owner if id.parent in found else None
            found[id] = live_of(id, copy.deepcopy(self.live[id]), owner)
        return replace(Snapshot(taken_at=0.0, live=found, deleted=self._deleted()), **more)

    def converge(self, fleet: Fleet) -> Plan:
        """Plan and apply once; the plan."""
        plan = make_plan(fleet, self.snapshot())
        self.apply(plan)
        return plan

    def apply(self, plan: Plan) -> None:
        for step in plan.steps:
            self.write(step)

    def write(self, step: Step) -> None:
        type_ = type_of(step.id.type)
        assert type_ is not None
        body: JsonObject | None = None
        match step.verb:
            case Verb.PUT:
                body = compose(type_, step.fields, self.live.get(step.id))
                self.live[step.id] = decorate(step.id, body)
            case Verb.PATCH:
                body = compose_patch(type_, step.fields, self.live[step.id])
                self.live[step.id] = decorate(step.id, _merge(self.live[step.id], body))
            case Verb.DELETE:
                self._remove(step.id)
            case Verb.PURGE:
                del self.deleted[step.id]
            case Verb.RESTORE:
                self.live[step.id] = self.deleted.pop(step.id)
        self.after_write(step, body)

    def add(self, id: ArmId, body: JsonObject) -> None:
        """A resource that somebody else made."""
        self.live[id] = decorate(id, body)

    def edit(self, id: ArmId, path: str, value: Json) -> None:
        """Change one value behind everybody's back; `path` is dotted, in Azure's JSON."""
        *above, last = path.split(".")
        place: Any = self.live[id]
        for key in above:
            place = place.setdefault(key, {})
        place[last] = value

    def _remove(self, id: ArmId) -> None:
        wire = self.live[id]
        for each in [each for each in self.live if id.covers(each)]:
            del self.live[each]
        if id.type == ACCOUNTS:
            self.deleted[id] = wire

    def _deleted(self) -> dict[ArmId, DeletedAccount]:
        return {
            id: DeletedAccount(
                id=id,
                location=str(wire.get("location")),
                deleted_at="2025-10-01T00:00:00Z",
                purge_after="2025-10-03T00:00:00Z",
                wire=copy.deepcopy(wire),
            )
            for id, wire in sorted(self.deleted.items())
        }


def _merge(live: JsonObject, body: JsonObject) -> JsonObject:
    """A PATCH as Azure takes it: below `properties` by name, everything else replaced as it comes."""
    merged: JsonObject = {**live, **body}
    before, after = live.get("properties"), body.get("properties")
    if isinstance(before, dict):
        merged["properties"] = {**before, **(after if isinstance(after, dict) else {})}
    return merged


def decorate(id: ArmId, body: JsonObject) -> JsonObject:
    """The body as Azure gives it back: defaults filled in, what servers add added."""
    wire: dict[str, Any] = copy.deepcopy(body)
    wire |= {"id": str(id), "name": id.name, "type": id.type, "etag": '"1"', "systemData": {"createdBy": "us"}}
    properties = wire.setdefault("properties", {})
    properties.setdefault("provisioningState", "Succeeded")
    if id.type == ACCOUNTS:
        _decorate_account(wire, properties)
    if id.type == DEPLOYMENTS:
        _decorate_deployment(wire, properties)
    return wire


def _decorate_account(wire: dict[str, Any], properties: dict[str, Any]) -> None:
    properties.setdefault("publicNetworkAccess", "Enabled")
    properties |= {"endpoint": "https://a.openai.azure.com/", "isMigrated": False, "internalId": "f00"}
    properties |= {"capabilities": [{"name": "x"}], "privateEndpointConnections": [], "dateCreated": "2025"}
    properties |= {"callRateLimit": {"rules": []}, "endpoints": {"OpenAI": "https://a.openai.azure.com/"}}
    acls = properties.get("networkAcls")
    if acls is not None:
        properties["networkAcls"] = {"defaultAction": "Allow", "virtualNetworkRules": [], "ipRules": [], **acls}
    identity = wire.get("identity")
    if identity and identity.get("type") != "None":
        identity |= {"principalId": "p", "tenantId": "t"}
        for each in identity.get("userAssignedIdentities") or {}:
            identity["userAssignedIdentities"][each] = {"clientId": "c", "principalId": "p"}


def _decorate_deployment(wire: dict[str, Any], properties: dict[str, Any]) -> None:
    wire.setdefault("sku", {}).setdefault("capacity", 1)
    properties.setdefault("versionUpgradeOption", "OnceNewDefaultVersionAvailable")
    properties.setdefault("raiPolicyName", "Microsoft.DefaultV2")
    properties.setdefault("model", {}).setdefault("version", "2024-08-06")
    capacity = wire["sku"]["capacity"]
    properties |= {"currentCapacity": capacity, "capabilities": {"chatCompletion": "true"}}
    properties |= {"rateLimits": [{"key": "token", "renewalPeriod": 60, "count": capacity * 1000}]}


def converged(*declared: Iterable[Desired], **policy: Any) -> tuple[Fleet, PlainAzure]:
    """A fleet and an Azure that is as the fleet wants it; its group is there, made by somebody else."""
    fleet = fleet_of(*declared, **policy)
    azure = PlainAzure()
    azure.add(group_id(), {"location": "swedencentral"})
    azure.apply(make_plan(fleet, azure.snapshot()))
    return fleet, azure


def decided(plan: Plan, id: ArmId) -> Decision:
    """The one decision about `id`."""
    (found,) = [each for each in plan.decisions if each.id == id]
    return found


def steps_of(plan: Plan) -> list[tuple[str, str]]:
    """The writes of a plan, in order: verb and the last part of the id."""
    return [(step.verb.value, step.id.name) for step in plan.steps]


def paths_of(decision: Decision) -> list[str]:
    return [change.path for change in decision.changes]


def with_fields(fleet: Fleet, id: ArmId, changed: Mapping[str, Json]) -> Fleet:
    """The fleet with other values wanted of one resource."""
    wanted = fleet.desired[id]
    return replace(fleet, desired={**fleet.desired, id: replace(wanted, fields={**wanted.fields, **changed})})
