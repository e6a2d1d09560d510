"""Report: the daemon's health as Prometheus metrics. Pure, but for what the kernel says of the process.

Labels come from documents, from Azure's names of models and regions, and from our own words: nobody who writes to a
resource can make them many. Who only stands by says nothing about fleets: there must not be two who do.
"""

from __future__ import annotations

import math
import platform
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from reconciler.model.drift import Gravity
from reconciler.model.health import BOUNDS, Durations, FleetHealth, Health, Leadership, PassResult
from reconciler.model.ids import fold_location
from reconciler.model.plan import DecisionState
from reconciler.model.text import plain

PREFIX: Final = "reconciler_"
_LONGEST: Final = 200  # characters of a label
_NOTICED: Final = 120.0  # seconds in which somebody looks: what is put right is over sooner

Labels = tuple[str, ...]
Values = Iterable[tuple[Labels, float]]


class Exposition(NamedTuple):
    """What a scrape is answered."""

    body: bytes
    media: str


def render_metrics(health: Health, accept: str) -> Exposition:
    """The metrics in the format that `accept`, an HTTP header, asks for."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(health))
    ProcessCollector(registry=registry)
    encode, media = choose_encoder(accept)
    return Exposition(body=encode(registry), media=media)


class _Families(Collector):
    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Iterator[Metric]:
        health = self._health
        yield from _process(health)
        yield from _loop(health)
        if health.leads:
            yield from _fleets(health)
            yield from _quota(health.fleets)
            yield from _alerts(health)


def _process(health: Health) -> Iterator[Metric]:
    versions = {(health.version, platform.python_version()): 1.0}
    yield _gauge("build_info", "Which build this is; always 1.", ("version", "python"), versions.items())
    yield _gauge("leader", "Whether this process leads: 1, or 0 where it stands by.", (), [((), float(health.leads))])
    yield from _lease(health.leadership)
    yield _gauge("observe_only", "Whether nothing is ever written: 1 or 0.", (), [((), float(health.observes))])
    requests = {(code,): float(number) for code, number in health.tallies.requests.items()}
    yield _counter("requests", "Requests sent to Azure Resource Manager, by HTTP status.", ("code",), requests.items())
    left = {(toll,): number for toll, number in health.allowances.items()}
    told = "Requests that Azure Resource Manager still grants at this moment, where that is tightest."
    yield _gauge("arm_remaining", told, ("class",), left.items())


def _lease(lease: Leadership | None) -> Iterator[Metric]:
    """What a lease is known by; the lock on a file has none of it."""
    if lease is not None and lease.term is not None:
        told = "How often the lease has changed hands, or was had anew."
        yield _counter("lease_transitions", told, (), [((), float(lease.term))])
    if lease is not None and lease.renewed_at is not None:
        told = "When the lease was last renewed, by us or as seen, in epoch seconds."
        yield _gauge("lease_renewed_timestamp_seconds", told, (), [((), lease.renewed_at)])


def _loop(health: Health) -> Iterator[Metric]:
    tallies = health.tallies
    yield _histogram(tallies.durations)
    passes = {(result.value,): float(tallies.passes.get(result, 0)) for result in PassResult}
    yield _counter("passes", "Passes over all fleets, by how they went.", ("result",), passes.items())
    triggers = {(name,): float(number) for name, number in tallies.triggers.items()}
    yield _counter("trigger", "What set passes off.", ("trigger",), triggers.items())
    told = "When a pass last ended that saw every fleet, in epoch seconds; 0 before there was one."
    yield _gauge("last_success_timestamp_seconds", told, (), [((), health.succeeded_at or 0.0)])
    told = "For how long the loop has given no sign of life."
    yield _gauge("loop_silence_seconds", told, (), [((), health.silence)])
    told = "Whether what is remembered cannot be read or written, so that nothing is written to Azure: 1 or 0."
    yield _gauge("journal_unkept", told, (), [((), float(bool(health.unkept)))])
    yield _gauge("paused", "Pauses in force.", (), [((), float(len(health.pauses)))])
    actions = {labels: float(number) for labels, number in tallies.actions.items()}
    yield _counter("actions", "Writes by what they were to do and how they ended.", _ACTION, actions.items())


_ACTION: Final = ("fleet", "action", "result")


def _fleets(health: Health) -> Iterator[Metric]:
    resources: Counter[Labels] = Counter()
    blocked: Counter[Labels] = Counter()
    ends: dict[Labels, float] = {}
    for fleet in health.fleets:
        plan = fleet.report.plan if fleet.report else None
        for decision in plan.decisions if plan else ():
            resources[fleet.name, decision.ref.kind, decision.state.value] += 1
            if decision.state is DecisionState.BLOCKED:
                blocked[fleet.name, decision.code or "blocked"] += 1
        for each in plan.outlook.retirements if plan else ():
            where = (fleet.name, fold_location(each.offer.location), each.model, each.version, each.offer.sku)
            ends[where] = min(float(each.at), ends.get(where, math.inf))
    yield _gauge("resources", "Resources by where they stand.", ("fleet", "kind", "state"), resources.items())
    yield _gauge("blocked_resources", "Resources that are not written, by why.", ("fleet", "code"), blocked.items())
    told = "When a model that is deployed retires, in epoch seconds."
    yield _gauge(
        "model_retirement_timestamp_seconds", told, ("fleet", "region", "model", "version", "sku"), ends.items()
    )
    ages = {(each.name,): health.taken_at - (each.in_sync_at or health.began_at) for each in health.fleets}
    told = "For how long nobody has seen all of a fleet as declared."
    yield _gauge("in_sync_age_seconds", told, ("fleet",), ages.items())


def _quota(fleets: Iterable[FleetHealth]) -> Iterator[Metric]:
    units: dict[Labels, float] = {}
    measured: dict[Labels, float] = {}
    tokens: dict[Labels, float] = {}
    for fleet in fleets:
        for pool in fleet.ledger.pools if fleet.ledger else ():
            if not pool.touched:
                continue
            if at := fleet.measured.get(pool.location):
                measured[fleet.name, pool.location] = at
            for what, number in (("used", pool.used), ("limit", pool.limit), ("held", pool.held)):
                labels = (fleet.name, pool.location, pool.usage, what)
                units[labels] = float(number)
                if len({*pool.tokens}) == 1:
                    tokens[labels] = float(number * pool.tokens[0])
    told = "When Azure was last asked how full a region's pools are, in epoch seconds."
    yield _gauge("quota_measured_timestamp_seconds", told, ("fleet", "region"), measured.items())
    labels = ("fleet", "region", "pool", "what")
    told = "Quota of the pools that a fleet draws on, in capacity units; held: at most, by soft-deleted accounts."
    yield _gauge("quota_units", told, labels, units.items())
    told = "The same in tokens per minute, where a unit of the pool is always worth the same."
    yield _gauge("quota_tokens_per_minute", told, labels, tokens.items())


def _alerts(health: Health) -> Iterator[Metric]:
    journal = health.journal
    drifts: Counter[Labels] = Counter()
    # A gauge that goes away with the last drift cannot be compared with zero.
    for fleet in health.fleets:
        kinds = {each.ref.kind for each in fleet.report.plan.decisions} if fleet.report else set()
        drifts.update({(fleet.name, kind, gravity.value): 0 for kind in kinds for gravity in Gravity})
    recent = (each for each in journal.past if health.taken_at - each.first_seen < _NOTICED)
    for drift in (*journal.drifts.values(), *recent):
        drifts[drift.fleet, drift.ref.kind, drift.gravity.value] += 1
    told = "Resources that are not as declared, or were not when they were looked at within two minutes."
    yield _gauge("drift_resources", told, ("fleet", "kind", "gravity"), drifts.items())
    open_ = Counter((each.name, each.level.value) for each in journal.alerts.values() if each.open)
    yield _gauge("alerts_open", "Alerts that are open.", ("name", "level"), open_.items())
    told = "Messages about alerts that have not arrived yet."
    yield _gauge("outbox_letters", told, (), [((), float(len(journal.letters)))])
    dead = float(journal.dead + journal.dropped)
    yield _counter("dead_letters", "Messages about alerts that were given up.", (), [((), dead)])


def _gauge(name: str, told: str, labels: Labels, values: Values) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, told, labels=labels)
    for each, value in _fold(values):
        family.add_metric(each, value)
    return family


def _counter(name: str, told: str, labels: Labels, values: Values) -> Metric:
    family = CounterMetricFamily(PREFIX + name, told, labels=labels)
    for each, value in _fold(values):
        family.add_metric(each, value)
    return family


def _histogram(durations: Durations) -> Metric:
    buckets = [(str(bound), number) for bound, number in zip(BOUNDS, durations.within, strict=True)]
    buckets.append(("+Inf", durations.number))
    family = HistogramMetricFamily(PREFIX + "pass_duration_seconds", "How long passes took.")
    family.add_metric((), buckets, durations.seconds)
    return family


def _fold(values: Values) -> list[tuple[list[str], float]]:
    """In order, and each set of labels once, however long its names were."""
    told: dict[Labels, float] = {}
    for labels, value in values:
        folded = tuple(plain(each)[:_LONGEST] for each in labels)
        told[folded] = told.get(folded, 0.0) + value
    return [([*labels], value) for labels, value in sorted(told.items())]
