"""Who uses what is to go, and who has the addresses that another wants; as Azure has it now, and when a plan is done.

Knows nothing of permissions or of order: `guards` refuses by it, `order` waits by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from reconciler.kinds.addresses import may_meet, within_prefixes
from reconciler.kinds.base import compose, read_links
from reconciler.model.ids import ArmId
from reconciler.model.plan import Action
from reconciler.model.wire import Json, JsonObject
from reconciler.plan.draft import Draft, Drafts


def goes(draft: Draft, drafts: Drafts) -> bool:
    """Whether what is live will be deleted, by itself or with what it lies in."""
    parent = drafts.get(draft.id.parent) if draft.id.parent else None
    return draft.goes or (draft.desired is not None and parent is not None and parent.action is Action.REPLACE)


def keeps(user: Draft, used: ArmId, drafts: Drafts) -> ArmId | None:
    """What of `used` a draft names now and will go on to name, the first of it."""
    if user.live is None or not user.type.links or goes(user, drafts):
        return None
    named = {*_named(used, user, user.live.wire)}
    changes = {change.path: change.after for change in user.decision.changes} if user.acts and named else {}
    wire = compose(user.type, changes, user.live.wire) if changes else user.live.wire
    return next((each for each in _named(used, user, wire) if each in named), None)


def find_users(drafts: Drafts) -> Mapping[str, list[ArmId]]:
    """Who names what now, by the folded id of what is named and of all that it lies in, in the order of the drafts."""
    found: dict[str, list[ArmId]] = {}
    for id, draft in drafts.items():
        links = {*read_links(draft.type, draft.live.wire)} if draft.live and draft.type.links else ()
        for above in {place for link in links for place in _walk_up(link)}:
            found.setdefault(above, []).append(id)
    return found


def _walk_up(link: str) -> Iterator[str]:
    while link:
        yield link
        link = link.rpartition("/")[0]


def _named(used: ArmId, user: Draft, wire: JsonObject) -> Iterator[ArmId]:
    ours = (link for link in read_links(user.type, wire) if f"{link}/".startswith(f"{used.key}/"))
    return (ArmId.parse(link) for link in ours)


def find_holders(draft: Draft, siblings: Iterable[Draft]) -> Iterator[Draft]:
    """Those beside a draft that have addresses now which it wants and has not got."""
    path = draft.type.claims
    wanted = _texts(draft.desired.fields.get(path)) if draft.desired else []
    told = draft.action is Action.CREATE or any(change.path == path for change in draft.decision.changes)
    if not wanted or not told:
        return
    had = held(draft)
    claimed = [each for each in wanted if not within_prefixes([each], had)]
    for other in siblings:
        if other.id != draft.id and other.type is draft.type and _meet(claimed, held(other)):
            yield other


def held(draft: Draft) -> list[str]:
    """The addresses that a resource has now."""
    return _texts(draft.type.lens(draft.type.claims).read(draft.live.wire)) if draft.live else []


def still_holds(other: Draft, draft: Draft) -> bool:
    """Whether addresses that a draft wants will not be given up by somebody who has them."""
    if other.action is Action.DELETE:
        return False
    left = [change.after for change in other.decision.changes if other.acts and change.path == other.type.claims]
    wanted = _texts(draft.desired.fields.get(draft.type.claims)) if draft.desired else []
    return _meet(wanted, _texts(left[0]) if left else held(other))


def _meet(ones: Iterable[str], others: list[str]) -> bool:
    return any(may_meet(one, other) for one in ones for other in others)


def _texts(value: Json) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []
