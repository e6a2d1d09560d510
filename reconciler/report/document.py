"""Report: plan, outcomes and findings as JSON, and a saved plan read back. Pure; `docs/plan-format.md` is its contract.

Keys are sorted and nothing that is covered by a digest depends on a clock. What is sensitive is masked, here too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from reconciler.model.finding import Fault, Finding
from reconciler.model.ids import ArmId
from reconciler.model.outcome import CycleReport, Outcome
from reconciler.model.outlook import show_day
from reconciler.model.plan import Decision, Plan, Step
from reconciler.model.quota import Ledger, Pool
from reconciler.model.reach import Way
from reconciler.model.resource import Actor
from reconciler.model.rights import Mandate
from reconciler.model.spread import Spread
from reconciler.model.wire import Json, JsonObject, canonical_bytes, thaw
from reconciler.report.ahead import tell_outlook_json
from reconciler.report.openings import closes, opens
from reconciler.report.summary import estimate_costs, merge_outcomes, summarise
from reconciler.report.words import MASK, is_sensitive

FORMAT_VERSION: Final = "1.3"


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedFleet:
    """What a saved plan holds a fleet to: its digest, and its decisions by id to say what moved."""

    name: str
    digest: str
    decisions: Mapping[str, JsonObject]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What narrowed a plan: the words of --target and -l, which narrow it again when it is applied."""

    targets: tuple[str, ...] = ()
    selector: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedPlan:
    """A plan that was shown and kept."""

    fleets: Mapping[str, SavedFleet]
    selection: Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What surrounds the fleets of one document: findings that belong to none, what narrowed it, how it ended."""

    exit_code: int
    findings: tuple[Finding, ...] = ()
    selection: Selection = Selection()


def render_json(document: Json) -> str:
    """The document as text: sorted keys, two spaces, one newline at the end."""
    return json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def render_plans(plans: Iterable[Plan], envelope: Envelope) -> str:
    """A plan document: what would be done, one entry per fleet."""
    return render_json(_envelop("plan", [_plan(plan) for plan in plans], envelope))


def render_runs(runs: Iterable[tuple[CycleReport, ...]], envelope: Envelope) -> str:
    """A report document: per fleet the plan it began with, what became of it, and what was left at the end."""
    return render_json(_envelop("report", [_run(reports) for reports in runs], envelope))


def tell_finding(finding: Finding) -> JsonObject:
    origin = finding.origin
    return {
        "severity": finding.severity.value,
        "code": finding.code,
        "message": finding.message,
        "hint": finding.hint,
        "origin": {"file": origin.file, "line": origin.line, "column": origin.column} if origin else None,
    }


def read_plan(text: str) -> SavedPlan:
    """A saved plan out of its document; ValueError says why it is not one."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ValueError(f"it is not JSON: {error}") from None
    if not isinstance(document, dict) or document.get("kind") != "plan":
        raise ValueError("it is not a plan; one is written by `reconciler once --dry-run --out FILE`")
    version = str(document.get("format_version"))
    if version.split(".", 1)[0] != FORMAT_VERSION.split(".", 1)[0]:
        raise ValueError(f"its format_version is {version}; this version reads {FORMAT_VERSION}")
    try:
        fleets = [_read_fleet(each) for each in document["fleets"]]
        narrowed = document["selection"]
        targets, selector = tuple(str(each) for each in narrowed["targets"]), str(narrowed["selector"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"it is damaged: {error}") from None
    selection = Selection(targets=targets, selector=selector)
    return SavedPlan(fleets={fleet.name: fleet for fleet in fleets}, selection=selection)


def tell_stale(saved: SavedPlan, plans: Iterable[Plan]) -> str:
    """Why the saved plan is not carried out, with everything that moved; "" when nothing did."""
    fresh = {plan.fleet: plan for plan in plans}
    moved = [f"fleet {name} is no longer declared" for name in sorted(saved.fleets.keys() - fresh.keys())]
    for name, plan in sorted(fresh.items()):
        kept = saved.fleets.get(name)
        if kept is None:
            moved.append(f"fleet {name} was not there when it was saved")
        elif kept.digest != plan.digest:
            moved += tell_moved(kept, plan)
    if not moved:
        return ""
    return "What moved since the plan was saved:\n" + "\n".join(f"  {line}" for line in moved)


def tell_moved(saved: SavedFleet, plan: Plan) -> tuple[str, ...]:
    """What is not as it was when the plan was saved, one line per resource."""
    fresh = {decision.id.key: tell_decision(decision) for decision in plan.decisions if not decision.told_only}
    moved = []
    for key in sorted(saved.decisions.keys() | fresh.keys()):
        before, after = saved.decisions.get(key), fresh.get(key)
        if before is None or after is None or _steering(before) != _steering(after):
            moved.append(f"{_name_of(before, after)}: {_tell_one(before)} when saved, {_tell_one(after)} now")
    return tuple(moved) or ("the order or the values of its writes, which are not shown",)


def _read_fleet(entry: JsonObject) -> SavedFleet:
    decisions = entry["decisions"]
    if not isinstance(decisions, list):
        raise TypeError("decisions is not a list")
    agreed = [each for each in decisions if isinstance(each, dict) and not each.get("told_only")]
    by_id = {str(each["id"]).lower(): each for each in agreed}
    return SavedFleet(name=str(entry["fleet"]), digest=str(entry["digest"]), decisions=by_id)


def _steering(decision: JsonObject) -> bytes:
    told: JsonObject = {key: decision.get(key) for key in ("state", "action", "changes", "opens")}
    told["reason"] = str(decision.get("reason")).removesuffix(str(decision.get("who", "")))  # Azure tells it late
    return canonical_bytes(told)


def _name_of(*decisions: JsonObject | None) -> str:
    return next(str(each.get("ref")) for each in decisions if each is not None)


def _tell_one(decision: JsonObject | None) -> str:
    if decision is None:
        return "not there"
    changes = decision.get("changes")
    paths = [str(each.get("path")) for each in changes if isinstance(each, dict)] if isinstance(changes, list) else []
    what = decision.get("action") if decision.get("state") == "act" else decision.get("state")
    return f"{what} ({', '.join(paths)})" if paths else str(what)


def _envelop(kind: str, fleets: list[Json], envelope: Envelope) -> JsonObject:
    return {
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "fleets": fleets,
        "findings": [tell_finding(finding) for finding in envelope.findings],
        "selection": {"targets": list(envelope.selection.targets), "selector": envelope.selection.selector},
        "exit_code": envelope.exit_code,
    }


def _plan(plan: Plan) -> JsonObject:
    summary, costs = summarise(plan), estimate_costs(plan)
    return {
        "fleet": plan.fleet,
        "digest": plan.digest,
        "complete": plan.complete,
        "applicable": plan.applicable,
        "converged": plan.converged,
        "stopped": plan.stopped,
        "summary": {
            "actions": {action.value: number for action, number in summary.actions.items()},
            "states": {state.value: number for state, number in summary.states.items()},
            "opening": sum(opens(decision) for decision in plan.decisions),
            "closing": sum(closes(decision) for decision in plan.decisions),
            "requests_to_apply": summary.requests,
            "requests_spent": summary.requests_spent,
            "usual_seconds": round(summary.seconds),
        },
        "decisions": [{**tell_decision(each), "requests": costs.get(str(each.ref), 0)} for each in plan.decisions],
        "steps": [_step(step) for step in plan.steps],
        "findings": [tell_finding(finding) for finding in plan.findings],
        "blind": [{"scope": scope, "fault": tell_fault(fault)} for scope, fault in plan.blind],
        "quota": tell_ledger(plan.ledger) if plan.ledger else None,
        "rights": _mandate(plan.mandate) if plan.mandate else None,
        "model_pools": [_spread(each) for each in plan.spreads],
        "lifecycle": tell_outlook_json(plan.outlook),
    }


def _run(reports: tuple[CycleReport, ...]) -> JsonObject:
    first, last = reports[0], reports[-1]
    return {
        **_plan(first.plan),
        "outcomes": [tell_outcome(outcome) for outcome in merge_outcomes(reports)],
        "cycles": len(reports),
        "seconds": round(last.ended - first.began, 3),
        "requests": sum(report.requests for report in reports),
        "refused": last.refused,
        "left": _plan(last.plan),
    }


def _author(author: Actor | None) -> JsonObject | None:
    return {"name": author.name, "at": author.at, "operation": author.operation} if author else None


def tell_decision(decision: Decision) -> JsonObject:
    origin = decision.origin
    return {
        "id": str(decision.id),
        "ref": str(decision.ref),
        "state": decision.state.value,
        "action": decision.action.value if decision.action else None,
        "reason": decision.reason,
        "author": _author(decision.author),
        "who": decision.who,
        "permit": decision.permit,
        "code": decision.code,
        "risk": decision.risk.value,
        "changes": [
            {
                "path": change.path,
                "before": MASK if change.sensitive and change.before is not None else change.before,
                "after": MASK if change.sensitive and change.after is not None else change.after,
                "effect": change.effect.value,
                "opens": change.opens,
                "closes": change.closes,
                "sensitive": change.sensitive,
            }
            for change in decision.changes
        ],
        "opens": [tell_way(way) for way in decision.opened],
        "closes": [tell_way(way) for way in decision.closed],
        "needs": [str(id) for id in decision.needs],
        "warnings": list(decision.warnings),
        "frees": [{"usage": usage, "at_most": units} for usage, units in decision.frees.items()],
        "usual_seconds": decision.seconds,
        "short": decision.short,
        "location": decision.location,
        "owned": decision.owned,
        "told_only": decision.told_only,
        "origin": {"file": origin.file, "line": origin.line, "column": origin.column} if origin else None,
    }


def _spread(spread: Spread) -> JsonObject:
    """In tokens per minute."""
    origin = spread.origin
    return {
        "ref": str(spread.ref),
        "model": spread.model,
        "wanted": spread.wanted,
        "placed": spread.placed,
        "shortfall": spread.shortfall,
        "reason": spread.reason,
        "regions": [
            {
                "location": share.location,
                "choice": share.choice,
                "held": share.held,
                "placed": share.placed,
                "reason": share.reason,
            }
            for share in spread.shares
        ],
        "origin": {"file": origin.file, "line": origin.line, "column": origin.column},
    }


def tell_way(way: Way) -> JsonObject:
    return {
        "source": way.source,
        "subnet": str(way.subnet) if way.subnet else None,
        "target": str(way.target),
        "path": way.path,
        "via": str(way.via) if way.via else None,
        "ports": way.ports,
    }


def _step(step: Step) -> JsonObject:
    return {
        "name": step.name,
        "id": str(step.id),
        "verb": step.verb.value,
        "action": step.action.value,
        "phase": step.phase.value,
        "fields": _masked(step.id, step.fields),
        "expects": None if step.expects is None else _masked(step.id, step.expects),
        "after": list(step.after),
        "location": step.location,
        "awaits": [*sorted(step.awaits)],
        "lane": step.lane,
    }


def _masked(id: ArmId, fields: Mapping[str, Json]) -> JsonObject:
    shown = {path: MASK if value is not None and is_sensitive(id, path) else value for path, value in fields.items()}
    return {path: thaw(value) for path, value in shown.items()}


def tell_outcome(outcome: Outcome) -> JsonObject:
    return {
        "step": outcome.step.name,
        "id": str(outcome.step.id),
        "action": outcome.step.action.value,
        "result": outcome.result.value,
        "because": outcome.because,
        "fault": tell_fault(outcome.fault) if outcome.fault else None,
        "seconds": round(outcome.ended - outcome.began, 3),
        "requests": outcome.requests,
    }


def tell_ledger(ledger: Ledger) -> JsonObject:
    """A ledger as a plan carries it: the pools that its fleet has anything to do with."""
    return {
        "pools": [tell_pool(pool) for pool in ledger.pools if pool.touched],
        "unread": [{"location": place, "fault": tell_fault(fault)} for place, fault in ledger.unread.items()],
        "unseen": [{"account": str(id), "fault": tell_fault(fault)} for id, fault in ledger.unseen.items()],
        "strays": list(ledger.strays),
    }


def _mandate(mandate: Mandate) -> JsonObject:
    return {
        "lacks": [
            {
                "place": lack.place,
                "actions": list(lack.actions),
                "resources": list(lack.refs),
                "roles": list(lack.roles),
            }
            for lack in mandate.lacks
        ],
        "unread": [{"what": what, "fault": tell_fault(fault)} for what, fault in mandate.unread],
    }


def tell_pool(pool: Pool) -> JsonObject:
    return {
        "subscription": pool.subscription,
        "location": pool.location,
        "usage": pool.usage,
        "limit": pool.limit,
        "used": pool.used,
        "ours": pool.ours,
        "others": pool.others if pool.surveyed else None,
        "residue": pool.residue,
        "soft_deleted": list(pool.deleted),
        "left": pool.left,
        "takes": pool.takes,
        "gives": pool.gives,
        "short": pool.short,
        "left_after": pool.left_after,
        "models": list(pool.models),
        "skus": list(pool.skus),
        "tokens_per_unit": list(pool.tokens),
        "requests_per_unit": list(pool.requests),
        "billed": pool.billed,
        "retires": show_day(pool.retires) if pool.retires is not None else None,
        "days_left": pool.days,
        "declared": pool.declared or None,
        "headroom": pool.headroom or None,
    }


def tell_fault(fault: Fault) -> JsonObject:
    return {
        "class": fault.cls.value,
        "code": fault.code,
        "message": fault.message,
        "advice": fault.advice,
        "status": fault.status,
        "request_id": fault.request_id,
    }
