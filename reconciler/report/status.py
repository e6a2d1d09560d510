"""Report: the daemon's health as JSON, for programs. Pure; `docs/daemon.md` is its contract.

What is sensitive is masked. What is as declared is named and no more: a large fleet stays a small answer.
"""

from __future__ import annotations

from collections import Counter
from math import isfinite
from typing import Final

from reconciler.model.alert import Alert
from reconciler.model.drift import Drift
from reconciler.model.health import FleetHealth, Health, Leadership, PassRecord
from reconciler.model.moment import show_time
from reconciler.model.pause import Pause
from reconciler.model.plan import DecisionState, Plan
from reconciler.model.wire import Json, JsonObject
from reconciler.report.ahead import tell_outlook_json
from reconciler.report.document import (
    FORMAT_VERSION,
    render_json,
    tell_decision,
    tell_fault,
    tell_finding,
    tell_ledger,
    tell_outcome,
    tell_pool,
)
from reconciler.report.overview import Concern, judge_live, judge_ready, survey

_GOOD: Final = (DecisionState.IN_SYNC, DecisionState.IGNORED)


def render_status(health: Health) -> str:
    """All that the page shows, and the numbers behind it."""
    overview = survey(health)
    live, ready = judge_live(health), judge_ready(health)
    journal = health.journal
    return render_json(
        {
            "format_version": FORMAT_VERSION,
            "kind": "status",
            "taken_at": show_time(health.taken_at),
            "began_at": show_time(health.began_at),
            "version": health.version,
            "leader": health.leads,
            "lease": _lease(health.leadership) if health.leadership else None,
            "observe_only": health.observes,
            "stopping": health.stopping,
            "live": {"ok": not live, "why": live},
            "ready": {"ok": not ready, "why": ready},
            "mood": overview.mood.value,
            "verdict": overview.verdict,
            "interval": health.interval,
            "passing_since": _moment(health.passing_since),
            "succeeded_at": _moment(health.succeeded_at),
            "fault": tell_fault(health.fault) if health.fault else None,
            "concerns": [_concern(each) for each in overview.concerns],
            "waits": [
                {"fleet": each.fleet, "ref": each.ref, "why": each.why, "done": each.done} for each in overview.waits
            ],
            "holds": [
                {"fleet": each.fleet, "code": each.code, "why": each.why, "refs": [*each.refs]}
                for each in overview.holds
            ],
            "fleets": [_fleet(each) for each in health.fleets],
            "drifts": [_drift(each) for each in journal.drifts.values()],
            "alerts": [_alert(each) for each in journal.alerts.values() if each.open],
            "journal": {"ok": not health.unkept, "why": health.unkept},
            "outbox": {"letters": len(journal.letters), "dead": journal.dead, "dropped": journal.dropped},
            "pauses": [_pause(each) for each in health.pauses],
            "findings": [tell_finding(each) for each in health.findings],
            "passes": [_pass(each) for each in health.passes],
            "requests": dict(health.tallies.requests),
            "arm_remaining": {toll: round(left, 1) for toll, left in health.allowances.items()},
        }
    )


def _moment(seconds: float | None) -> str | None:
    return show_time(seconds) if seconds is not None and isfinite(seconds) else None


def _lease(lease: Leadership) -> JsonObject:
    return {
        "name": lease.name,
        "identity": lease.identity,
        "holder": lease.holder,
        "term": lease.term,
        "renewed_at": _moment(lease.renewed_at),
        "why": lease.why,
    }


def _concern(concern: Concern) -> JsonObject:
    return {
        "key": concern.key,
        "name": concern.name,
        "level": concern.level.value,
        "fleet": concern.fleet,
        "what": concern.what,
        "since": _moment(concern.since),
        "who": concern.who,
        "doing": concern.doing,
    }


def _fleet(fleet: FleetHealth) -> JsonObject:
    plan = fleet.report.plan if fleet.report else None
    ledger = fleet.ledger
    pools: list[Json] = [
        {**tell_pool(pool), "measured_at": _moment(fleet.measured.get(pool.location))}
        for pool in (ledger.pools if ledger else ())
        if pool.touched
    ]
    return {
        "name": fleet.name,
        "under_way": fleet.under_way,
        "looked_at": _moment(fleet.looked_at),
        "in_sync_at": _moment(fleet.in_sync_at),
        "fault": tell_fault(fleet.fault) if fleet.fault else None,
        "measured_at": _moment(fleet.measured_at),
        "quota": {**tell_ledger(ledger), "pools": pools} if ledger else None,
        **(_plan(plan) if plan else {}),
        "outcomes": [tell_outcome(each) for each in fleet.report.outcomes] if fleet.report else [],
        "refused": fleet.report.refused if fleet.report else "",
    }


def _plan(plan: Plan) -> JsonObject:
    states = Counter(each.state.value for each in plan.decisions)
    return {
        "digest": plan.digest,
        "complete": plan.complete,
        "converged": plan.converged,
        "stopped": plan.stopped,
        "principal": plan.principal,
        "states": {state.value: states[state.value] for state in DecisionState},
        "resources": [tell_decision(each) for each in plan.decisions if each.state not in _GOOD],
        "as_declared": [str(each.ref) for each in plan.decisions if each.state in _GOOD],
        "blind": [{"scope": scope, "fault": tell_fault(fault)} for scope, fault in plan.blind],
        "lifecycle": tell_outlook_json(plan.outlook),
    }


def _drift(drift: Drift) -> JsonObject:
    changes: list[Json] = [{"path": each.path, "declared": each.before, "found": each.after} for each in drift.changes]
    return {
        "key": drift.key,
        "fleet": drift.fleet,
        "id": str(drift.id),
        "ref": str(drift.ref),
        "gravity": drift.gravity.value,
        "gone": drift.gone,
        "changes": changes,
        "omitted": drift.omitted,
        "actor": drift.actor,
        "since": drift.since,
        "first_seen": _moment(drift.first_seen),
        "last_seen": _moment(drift.last_seen),
        "correction": drift.correction.value,
        "because": drift.because,
        "returns": drift.returns,
    }


def _alert(alert: Alert) -> JsonObject:
    return {
        "key": alert.key,
        "name": alert.name,
        "level": alert.level.value,
        "labels": dict(alert.labels),
        "summary": alert.summary,
        "began": _moment(alert.began),
        "actors": [*alert.actors],
        "members": [*alert.members],
    }


def _pause(pause: Pause) -> JsonObject:
    return {
        "fleet": pause.fleet or None,
        "kind": pause.kind or None,
        "target": pause.target or None,
        "since": _moment(pause.since),
        "until": _moment(pause.until),
        "by": pause.by,
        "reason": pause.reason,
    }


def _pass(record: PassRecord) -> JsonObject:
    return {
        "began": show_time(record.began),
        "ended": show_time(record.ended),
        "seconds": round(record.ended - record.began, 3),
        "trigger": record.trigger,
        "result": record.result.value,
        "fleets": record.fleets,
        "writes": record.writes,
        "failed": record.failed,
        "in_progress": record.waits,
        "requests": record.requests,
        "why": record.why,
    }
