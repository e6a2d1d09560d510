"""Which actions a plan's writes need, and who may not do them; which providers are not registered. Pure.

Blocks only what Azure would certainly refuse. What could not be read is told and stops nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from reconciler.kinds.base import compose, compose_patch, read_ids
from reconciler.kinds.catalog import type_of
from reconciler.model.finding import Fault
from reconciler.model.ids import GROUP_TYPE, ArmId
from reconciler.model.plan import Action, Plan, Step, Verb
from reconciler.model.resource import Fleet, Snapshot
from reconciler.model.rights import Lack, Mandate, Rights, RightsScope
from reconciler.model.wire import JsonObject
from reconciler.plan.draft import Draft, Drafts
from reconciler.plan.guards import stop_dependents
from reconciler.plan.order import write_alone

# Azure checks a purge where the soft-deleted account is: in no group any more.
_PURGE = "Microsoft.CognitiveServices/locations/resourceGroups/deletedAccounts/delete"
_GROUPS = "Microsoft.Resources/subscriptions/resourceGroups"
_REGISTERED_ALWAYS = frozenset({"microsoft.resources", "microsoft.authorization"})
_NEW = (Action.CREATE, Action.REPLACE)

# The least of the built-in roles that contains an action, by how the action begins; first match first.
_ROLES = (
    ("microsoft.cognitiveservices/accounts/deployments/", "Cognitive Services OpenAI Contributor"),
    ("microsoft.cognitiveservices/accounts/raipolicies/", "Cognitive Services OpenAI Contributor"),
    ("microsoft.cognitiveservices/", "Cognitive Services Contributor"),
    ("microsoft.network/privatednszones/", "Private DNS Zone Contributor"),
    ("microsoft.network/", "Network Contributor"),
    ("microsoft.managedidentity/", "Managed Identity Operator"),
)
_WIDER = {
    "Cognitive Services OpenAI Contributor": "Cognitive Services Contributor",
    "Private DNS Zone Contributor": "Network Contributor",
}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Need:
    """An action, and what Azure wants it permitted on. It is `linked` to what is merely named in what is written."""

    action: str
    id: ArmId
    linked: bool = False


def find_places(plan: Plan, snapshot: Snapshot) -> RightsScope | None:
    """Where to ask what may be done: the subscription and the groups that the plan writes in or refers to, if it writes
    at all; and the providers of which nothing lives here yet."""
    if not plan.steps:
        return None
    places: set[ArmId] = set()
    for need in {need for step in plan.steps for need in _needs(step, snapshot)}:
        group = ArmId(subscription=need.id.subscription, group=need.id.group)
        places.add(ArmId(subscription=need.id.subscription))
        if need.id.group and (group in snapshot.live or group.subscription.lower() != _home(plan)):
            places.add(group)
    lived = {id.provider.lower() for id in snapshot.live} | _REGISTERED_ALWAYS
    made = {step.id.provider for step in plan.steps if step.action in _NEW and step.id.segments}
    return RightsScope(
        subscription=plan.steps[0].id.subscription,
        places=frozenset(places),
        namespaces=frozenset(each for each in made if each.lower() not in lived),
    )


def _home(plan: Plan) -> str:
    return plan.steps[0].id.subscription.lower()


def find_closer(plan: Plan, snapshot: Snapshot) -> frozenset[ArmId]:
    """Where to ask once more before somebody is refused: a role may be assigned on a resource itself."""
    rights = snapshot.rights
    assert rights is not None
    made = {step.id for step in plan.steps if step.id not in snapshot.live}
    closest = {_stands(need.id, made) for need in _find_lacking(plan.steps, snapshot)}
    return frozenset(id for id in closest if id.segments and id not in rights.grants and id not in rights.unread)


def _stands(id: ArmId, made: set[ArmId]) -> ArmId:
    """`id`, or of what this plan is to make, the nearest that it lies in and that is there already."""
    while id.segments and id.parent is not None and (id in made or id.top in made):
        id = id.parent
    return id


def approve(plan: Plan, snapshot: Snapshot) -> Plan | None:
    """The plan, which was made without knowing of rights, where they change nothing about it; else it has to be made
    again."""
    rights = snapshot.rights
    assert rights is not None
    if rights.unregistered or _find_lacking(plan.steps, snapshot):
        return None
    return replace(plan, mandate=Mandate(unread=_tell_unread(rights)), requests_spent=snapshot.requests)


def keep_to_rights(drafts: Drafts, fleet: Fleet, snapshot: Snapshot) -> Drafts:
    """The drafts less what this identity, or the subscription, certainly may not do. Where somebody else is to write,
    it is not held against the plan what this identity may do."""
    rights = snapshot.rights
    if rights is None:
        return drafts
    refused = {id: _refuse_provider(draft, rights) for id, draft in drafts.items() if _is_unregistered(draft, rights)}
    if rights.binding:
        left = {id: draft for id, draft in drafts.items() if id not in refused}
        lacking = _find_all_lacking(left, fleet, snapshot)
        refused |= {id: _refuse(drafts[id], needs, fleet, snapshot) for id, needs in lacking.items()}
    return stop_dependents({**drafts, **refused}) if refused else drafts


def make_mandate(drafts: Drafts, fleet: Fleet, snapshot: Snapshot) -> Mandate | None:
    """What there is to tell about the rights that the drafts take, besides what is blocked."""
    rights = snapshot.rights
    if rights is None:
        return None
    lacks = () if rights.binding else _tell_lacks(drafts, _find_all_lacking(drafts, fleet, snapshot), fleet, snapshot)
    return Mandate(lacks=lacks, unread=_tell_unread(rights))


def forbid_purge(snapshot: Snapshot, subscription: str) -> str:
    """Why this identity cannot purge anything, in a sentence; "" where it can, or where that is not known."""
    rights, need = snapshot.rights, Need(action=_PURGE, id=ArmId(subscription=subscription))
    if rights is None or not rights.binding or rights.allows(need.action, need.id) is not False:
        return ""
    return f"{_who(snapshot)} is not granted {need.action} {_name(need.id)}"


def _find_all_lacking(drafts: Drafts, fleet: Fleet, snapshot: Snapshot) -> dict[ArmId, tuple[Need, ...]]:
    """What those who act need and is certainly not granted."""
    acting = ((id, write_alone(draft, fleet.name)) for id, draft in drafts.items() if draft.acts)
    found = {id: _find_lacking(steps, snapshot) for id, steps in acting}
    return {id: needs for id, needs in found.items() if needs}


def _find_lacking(steps: Iterable[Step], snapshot: Snapshot) -> tuple[Need, ...]:
    """What the writes need and is certainly not granted, in a fixed order."""
    rights = snapshot.rights
    assert rights is not None
    needs = {need for step in steps for need in _needs(step, snapshot)}
    return tuple(sorted(need for need in needs if rights.allows(need.action, need.id) is False))


def _needs(step: Step, snapshot: Snapshot) -> Iterator[Need]:
    """What Azure checks before it takes a write: the write itself, and the right to use what its body names."""
    if step.verb is Verb.PURGE:
        yield Need(action=_PURGE, id=ArmId(subscription=step.id.subscription))
        return
    yield Need(action=f"{_spell(step.id)}/{'delete' if step.verb is Verb.DELETE else 'write'}", id=step.id)
    type_ = type_of(step.id.type)
    if type_ is None or not type_.joins or step.verb not in (Verb.PUT, Verb.PATCH):
        return
    live = snapshot.live.get(step.id) if step.action not in _NEW else None
    body: JsonObject
    if step.verb is Verb.PATCH:
        body = compose_patch(type_, step.fields, live.wire if live else {})
    else:
        body = compose(type_, step.fields, live.wire if live else None)
    for path, end in type_.joins:
        for id in _parse(read_ids(body, (path,))):
            yield Need(action=f"{_spell(id)}/{end}", id=id, linked=True)


def _parse(ids: Iterable[str]) -> Iterator[ArmId]:
    for each in ids:
        try:
            yield ArmId.parse(each)
        except ValueError:
            continue  # Azure will say what it thinks of it


def _spell(id: ArmId) -> str:
    """The type of `id` as actions are written, however a document spells it."""
    if id.type == GROUP_TYPE:
        return _GROUPS
    type_ = type_of(id.type)
    return type_.arm_type if type_ else id.type


def _is_unregistered(draft: Draft, rights: Rights) -> bool:
    return draft.action in _NEW and len(draft.id.segments) == 1 and draft.id.provider.lower() in rights.unregistered


def _refuse_provider(draft: Draft, rights: Rights) -> Draft:
    namespace, word = _spell(draft.id).partition("/")[0], rights.unregistered[draft.id.provider.lower()]
    reason = f"the subscription is not registered to use {namespace}: Azure says {word}"
    where = f"--namespace {namespace} --subscription {draft.id.subscription}"
    if word.lower() == "registering":
        permit = f"wait until `az provider show {where} --query registrationState` says Registered"
    else:
        permit = f"run `az provider register {where}`, which takes some minutes"
    return draft.blocked("provider_unregistered", reason, permit)


def _refuse(draft: Draft, needs: tuple[Need, ...], fleet: Fleet, snapshot: Snapshot) -> Draft:
    by_place = _group(needs, fleet, snapshot)
    missing = " and ".join(f"{', '.join(actions)} {_name(place)}" for place, actions in by_place.items())
    reason = f"{_who(snapshot)} is not granted {missing}"
    grants = [f"{role} {_name(place)}" for place, actions in by_place.items() for role in _roles(actions)]
    purges = any(need.action == _PURGE for need in needs)
    why = " (Azure checks purges there, whatever is granted in a group)" if purges else ""
    permit = f"grant it {' and '.join(grants)}{why}; a new grant takes some minutes to act"
    return draft.blocked("not_permitted_by_azure", reason, permit)


def _who(snapshot: Snapshot) -> str:
    return snapshot.principal or "this identity"


def _group(needs: Iterable[Need], fleet: Fleet, snapshot: Snapshot) -> dict[ArmId, list[str]]:
    """The actions by the place where they would have to be granted."""
    found: dict[ArmId, dict[str, None]] = {}
    for need in needs:
        found.setdefault(_place(need, fleet, snapshot), {})[need.action] = None
    return {place: [*found[place]] for place in sorted(found)}


def _place(need: Need, fleet: Fleet, snapshot: Snapshot) -> ArmId:
    """Where people grant an action: on what is used if that is there, else in its group, else on the subscription."""
    id = need.id
    if need.linked and (id in snapshot.live or id not in fleet.desired):
        return id
    group = ArmId(subscription=id.subscription, group=id.group)
    return group if group in snapshot.live else ArmId(subscription=id.subscription)


def _roles(actions: Iterable[str]) -> list[str]:
    """The built-in roles that contain the actions, those left out that another one of them contains."""
    found = list(dict.fromkeys(_role(action) for action in actions))
    return [role for role in found if _WIDER.get(role) not in found]


def _role(action: str) -> str:
    folded = action.lower()
    return next((role for begin, role in _ROLES if folded.startswith(begin)), "Contributor")


def _name(place: ArmId) -> str:
    if place.segments:
        path = "/".join(part for segment in place.segments for part in segment)
        return f"on {path} in resource group {place.group}"
    return f"in resource group {place.group}" if place.group else f"on subscription {place.subscription}"


def _tell_lacks(
    drafts: Drafts, lacking: Mapping[ArmId, tuple[Need, ...]], fleet: Fleet, snapshot: Snapshot
) -> tuple[Lack, ...]:
    """What is missing, once for each place."""
    refs: dict[ArmId, list[str]] = {}
    for id in sorted(lacking):
        for place in _group(lacking[id], fleet, snapshot):
            refs.setdefault(place, []).append(str(drafts[id].decision.ref))
    by_place = _group(sorted(need for needs in lacking.values() for need in needs), fleet, snapshot)
    return tuple(
        Lack(place=_name(place), actions=tuple(actions), refs=tuple(refs[place]), roles=tuple(_roles(actions)))
        for place, actions in by_place.items()
    )


def _tell_unread(rights: Rights) -> tuple[tuple[str, Fault], ...]:
    places = ((f"what is granted {_name(place)}", rights.unread[place]) for place in sorted(rights.unread))
    return (*places, *((f"whether {each} is registered", rights.unsure[each]) for each in sorted(rights.unsure)))
