"""Report: plan values in people's words. Pure; knows nothing of colours, widths or output formats.

Whatever came from a file or from Azure passes through `plain` on its way out, so that no name can move a cursor.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final

from reconciler.kinds.catalog import KINDS, type_of
from reconciler.kinds.values import as_said
from reconciler.model.ids import ArmId, Ref
from reconciler.model.outcome import Result
from reconciler.model.pause import Pause
from reconciler.model.plan import Action, Decision, DecisionState, FieldChange, Plan, Step
from reconciler.model.text import plain
from reconciler.model.wire import Json, canonical_bytes

MASK: Final = "(sensitive)"
NOTHING: Final = "none"
HELPS: Final = "What helps: "
_DAY: Final = 86_400  # seconds

SYMBOLS: Final[Mapping[Action, str]] = {
    Action.CREATE: "+",
    Action.UPDATE: "~",
    Action.REPLACE: "-/+",
    Action.DELETE: "-",
    Action.PURGE: "x",
    Action.RESTORE: "^",
    Action.ADOPT: "=",
}

STATE_SYMBOLS: Final[Mapping[DecisionState, str]] = {
    DecisionState.ACT: "~",
    DecisionState.IN_SYNC: ".",
    DecisionState.IN_PROGRESS: ">",
    DecisionState.BLOCKED: "!",
    DecisionState.IGNORED: ".",
    DecisionState.DRIFTED: "*",
}

STATE_WORDS: Final[Mapping[DecisionState, str]] = {
    DecisionState.ACT: "act",
    DecisionState.IN_SYNC: "in sync",
    DecisionState.IN_PROGRESS: "waiting",
    DecisionState.BLOCKED: "blocked",
    DecisionState.IGNORED: "ignored",
    DecisionState.DRIFTED: "drifted",
}

RESULT_WORDS: Final[Mapping[Result, str]] = {
    Result.DONE: "done",
    Result.FAILED: "failed",
    Result.BLOCKED: "blocked",
    Result.STALE: "stale",
    Result.NOT_CONVERGING: "not converging",
    Result.IN_PROGRESS: "in progress",
    Result.NOT_STARTED: "not started",
}

# What a person does next where no fault says it.
RESULT_ADVICE: Final[Mapping[Result, str]] = {
    Result.NOT_CONVERGING: "see whether an Azure Policy or another tool changes it back, and whether Azure offers it"
    " for this kind and region; else leave the field out or name it in lifecycle.ignore",
    Result.STALE: "run it again; it plans from what is there now",
}

_KIND_OF_TYPE: Final = {kind.types[0].arm_type.lower(): kind.name for kind in KINDS if kind.types}


def shorten(id: ArmId) -> str:
    """What people call the resource: `Account/aoai-swc/deployments/gpt-4o`, `vnet-ai/gateway` for a subnet."""
    if not id.segments:
        return plain(f"ResourceGroup/{id.group}" if id.group else f"subscription {id.subscription}")
    if [segment.lower() for segment, _ in id.segments] == ["virtualnetworks", "subnets"]:
        return plain(f"{id.segments[0][1]}/{id.name}")
    kind = _KIND_OF_TYPE.get(id.top.type.lower())
    if kind is not None:
        below = "".join(f"/{segment}/{name}" for segment, name in id.segments[1:])
        return plain(f"{kind}/{id.top.name}{below}")
    return plain(f"{id.segments[-1][0]}/{id.name}")


def name_of(decision: Decision) -> str:
    """The one name of a resource: how its document declares it, which is also what `--target` takes."""
    return plain(str(decision.ref))


def name_of_step(step: Step) -> str:
    """The name of the resource that a step writes, the same as that of its decision."""
    return plain(step.name.rpartition("#")[0]) or shorten(step.id)


def document_of(ref: Ref) -> Ref:
    """The document that a resource was declared in: the account of a deployment."""
    return Ref(kind=ref.kind, name=ref.name.split("/", 1)[0])


def name_within(ref: Ref) -> str:
    """A resource's name as it reads below the heading of its document."""
    _, _, below = ref.name.partition("/")
    return plain(below or ref.name)


def show_value(value: Json) -> str:
    """A value on one line, as short as it stays unmistakable; ARM ids by their people's names."""
    return _show(value, shortened=True)


def _show(value: Json, *, shortened: bool) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _show_text(str(as_said(value)), shortened=shortened)
    if isinstance(value, list):
        return ", ".join(_show(item, shortened=shortened) for item in value) or "[]"
    if isinstance(value, dict):
        return _show_object(value, shortened=shortened)
    return str(value)


def _show_text(value: str, *, shortened: bool) -> str:
    if shortened and value.lower().startswith("/subscriptions/"):
        try:
            return shorten(ArmId.parse(value))
        except ValueError:
            return plain(value)
    if not value or value != value.strip() or value in ("true", "false", NOTHING, MASK):
        return json.dumps(value, ensure_ascii=False)
    return plain(value)


def _show_object(value: dict[str, Json], *, shortened: bool) -> str:
    told = {key: item for key, item in value.items() if item not in (None, False)}
    if set(told) == {"id"}:
        return _show(told["id"], shortened=shortened)
    return "{" + ", ".join(f"{plain(key)}: {_show(item, shortened=shortened)}" for key, item in value.items()) + "}"


def tell_field(decision: Decision, change: FieldChange) -> tuple[str, ...]:
    """A field as words that may be broken between; of something new only the value it begins with."""
    if decision.action is Action.CREATE:
        return (MASK if change.sensitive else show_value(change.after),)
    return tell_change(change)


def tell_change(change: FieldChange) -> tuple[str, ...]:
    """A change as words that may be broken between: `before -> after`; of a list only what comes and goes. What was
    not there before, or is not afterwards, is `none`: else nobody can tell a value that comes from one that goes."""
    if change.sensitive:
        before, after = (NOTHING if value is None else MASK for value in (change.before, change.after))
        return (f"{before} -> {after}",)
    if isinstance(change.before, list) and isinstance(change.after, list):
        moved = _list_moves(change.before, change.after)
        if moved:
            return moved
    shortened = show_value(change.before) != show_value(change.after)
    return (f"{_show(change.before, shortened=shortened)} -> {_show(change.after, shortened=shortened)}",)


def _list_moves(before: list[Json], after: list[Json]) -> tuple[str, ...]:
    had = {canonical_bytes(item) for item in before}
    has = {canonical_bytes(item) for item in after}
    gone = [item for item in before if canonical_bytes(item) not in has]
    come = [item for item in after if canonical_bytes(item) not in had]
    shortened = not {show_value(item) for item in gone} & {show_value(item) for item in come}
    signs = [(sign, item) for sign, items in (("+", come), ("-", gone)) for item in items]
    return tuple(f"{sign}{_show(item, shortened=shortened)}" for sign, item in signs)


def tell_mark(decision: Decision, change: FieldChange) -> str:
    """What a change does to who can reach the resource, or to its capacity; "" for most."""
    if change.opens:
        return "(opens)"
    if decision.action is Action.CREATE:
        return ""
    if change.cuts:
        return "(cuts)"
    return "(closes)" if change.closes else ""


def is_sensitive(id: ArmId, path: str) -> bool:
    """Whether the value at `path` must never be shown."""
    type_ = type_of(id.type)
    return type_ is not None and type_.lens(path).field.sensitive


def group_blind(plan: Plan) -> dict[tuple[str, str], list[str]]:
    """What could not be read, by what went wrong and its next step: one fault often hides many places."""
    groups: dict[tuple[str, str], list[str]] = {}
    for scope, fault in plan.blind:
        groups.setdefault((str(fault), fault.advice), []).append(scope)
    return groups


def tell_converged(plan: Plan) -> str:
    """The last word on a plan that has nothing left to do. What is only observed, or was not selected, may differ, and
    so may what is Azure's to grant."""
    drifted = [decision for decision in plan.decisions if decision.state is DecisionState.DRIFTED]
    if any(not decision.told_only for decision in drifted):
        return "what differs is only observed"
    if drifted:
        return "what differs is Azure's to grant"
    if any(decision.code == "not_selected" for decision in plan.decisions):
        return "what was selected is as declared"
    if any(decision.short for decision in plan.decisions):
        return "Azure is as declared as far as quota goes"
    return "Azure is as declared"


def tell_action(action: Action | None) -> str:
    """The action as a word; a decision without one leaves the resource alone."""
    return action.value if action else "leave"


def tell_part(step: Step) -> str:
    """Which part of a resource's change this write is, where it is not all of it: ` (open)`, ` (write-2)`."""
    part = step.name.rpartition("#")[2]
    return "" if part in (step.action.value, "write-1", step.name) else f" ({plain(part)})"


def tell_step(step: Step) -> str:
    return f"{SYMBOLS[step.action]} {step.action.value} {name_of_step(step)}{tell_part(step)}"


def symbol_of(decision: Decision) -> str:
    if decision.acts and decision.action:
        return SYMBOLS[decision.action]
    return STATE_SYMBOLS[decision.state]


def word_of(decision: Decision) -> str:
    if decision.acts:
        return tell_action(decision.action)
    return STATE_WORDS[decision.state]


def tell_reason(decision: Decision) -> str:
    """Why, with what would be done, or will be, where that is not what happens now."""
    if decision.acts or not decision.action:
        return plain(decision.reason)
    held = "follows" if decision.state is DecisionState.IN_PROGRESS else "not allowed"
    return f"{tell_action(decision.action)} {held}: {plain(decision.reason)}"


def count(number: int, noun: str) -> str:
    """`1 change`, `2 changes`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("y") and noun[-2] not in "aeiou" else f"{number} {noun}s"


def join_words(words: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *most, last = [*words]
    return f"{', '.join(most)} and {last}" if most else last


def show_duration(seconds: float) -> str:
    """`0 s`, `41 s`, `1 min 12 s`, `2 h 5 min`, from two days on `2 d 5 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    if whole < 2 * _DAY:
        hours, rest = divmod(round(whole / 60), 60)
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    days, rest = divmod(round(whole / 3600), 24)
    return f"{days} d {rest} h" if rest else f"{days} d"


def tell_scope(pause: Pause) -> str:
    """What a pause is about: `everything`, `every Account of fleet prod`."""
    what = pause.target or (f"every {pause.kind}" if pause.kind else "everything")
    return f"{what} of fleet {pause.fleet}" if pause.fleet else what
