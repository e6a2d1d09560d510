"""Healths made by hand: a quiet night, a bad one, a large fleet, and names that somebody chose to do harm."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.alert import Alert, Journal, Level
from reconciler.model.drift import Correction, Drift, Edit, Gravity, name_drift
from reconciler.model.finding import Fault, FaultClass, Finding, Origin
from reconciler.model.health import FleetHealth, Health, PassRecord, PassResult, Tallies
from reconciler.model.ids import ArmId, Ref
from reconciler.model.outcome import CycleReport, Result
from reconciler.model.outlook import Nearness, Outlook, Retirement
from reconciler.model.pause import Pause
from reconciler.model.plan import Action, Decision, DecisionState, Plan
from reconciler.model.quota import Ledger, Offer, Pool
from tests.report.samples import ACCOUNT, CREATE, CREATE_STEP, FORBIDDEN, GROUP, OTHER, SHRINK, outcome

NOW = 1_795_880_000.0
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202eevil\u2066" + "W" * 450
_DAY = 86_400

_PAST = tuple(
    PassRecord(
        began=NOW - 60 * number - 14,
        ended=NOW - 60 * number - 12,
        trigger="interval" if number % 7 else "files",
        result=PassResult.OK,
        fleets=1,
        requests=103,
    )
    for number in range(20)
)


def account(number: int) -> ArmId:
    return GROUP.resource("Microsoft.CognitiveServices/accounts", f"aoai-{number:03}")


def in_sync(id: ArmId, name: str) -> Decision:
    return Decision(id=id, ref=Ref(kind="Account", name=name), state=DecisionState.IN_SYNC, reason="as declared")


def estate(accounts: int = 4, deployments: int = 3) -> tuple[Decision, ...]:
    """Decisions about so many accounts and their deployments, all as declared."""
    found: list[Decision] = []
    for number in range(accounts):
        id = account(number)
        found.append(in_sync(id, id.name))
        names = [f"chat-{each}" for each in range(deployments)]
        found += [in_sync(id.child("deployments", each), f"{id.name}/deployments/{each}") for each in names]
    return tuple(found)


def pool(location: str = "swedencentral", usage: str = "OpenAI.Standard.gpt-4o", **more: int) -> Pool:
    known = Pool(
        subscription=GROUP.subscription,
        location=location,
        usage=usage,
        limit=300,
        used=210,
        ours=150,
        others=40,
        surveyed=True,
        tokens=(1000,),
        deleted=("aoai-old",),
    )
    return replace(known, **more)  # type: ignore[arg-type]


def retirement(days: int, nearness: Nearness, model: str = "gpt-4o") -> Retirement:
    return Retirement(
        offer=Offer(location="swedencentral", format="OpenAI", model=model, version="2024-08-06", sku="Standard"),
        model=model,
        version="2024-08-06",
        usage=f"OpenAI.Standard.{model}",
        deployments=(account(0).child("deployments", "chat-0"), account(1).child("deployments", "chat-0")),
        units=20,
        at=int(NOW) + days * _DAY,
        days=days,
        nearness=nearness,
        told=f"{model} 2024-08-06 retires",
        advice="declare gpt-4.1 2025-04-14 instead; it fits",
    )


def fleet(plan: Plan, *outcomes: object, **more: object) -> FleetHealth:
    done = tuple(each for each in outcomes if not isinstance(each, str))
    report = CycleReport(plan=plan, outcomes=done, began=NOW - 14, ended=NOW - 12)  # type: ignore[arg-type]
    known = {"in_sync_at": NOW - 12, "ledger": Ledger(pools=(pool(), pool("westeurope", used=120, ours=100, others=0)))}
    return FleetHealth(
        name=plan.fleet,
        report=report,
        looked_at=NOW - 12,
        measured={"swedencentral": NOW - 400, "westeurope": NOW - 30},
        **{**known, **more},  # type: ignore[arg-type]
    )


def health(*fleets: FleetHealth, **more: object) -> Health:
    known: dict[str, object] = {
        "taken_at": NOW,
        "began_at": NOW - 3 * _DAY,
        "version": "0.1.0",
        "interval": 60.0,
        "patience": 900.0,
        "silence": 12.0,
        "succeeded_at": NOW - 12,
        "passes": _PAST,
        "tallies": Tallies(
            passes={PassResult.OK: 4000},
            triggers={"interval": 3990, "files": 10},
            requests={"200": 410_000, "202": 12, "429": 3},
        ),
        "allowances": {"reads": 231.0, "writes": 200.0},
    }
    return Health(fleets=fleets, **{**known, **more})  # type: ignore[arg-type]


def quiet() -> Health:
    outlook = Outlook(retirements=(retirement(74, Nearness.NOTICE), retirement(300, Nearness.FAR, "gpt-4.1")))
    return health(fleet(Plan(fleet="prod", decisions=estate(), steps=(), outlook=outlook, principal="11-22-33")))


def drift(id: ArmId = ACCOUNT, name: str = "aoai-swc", **more: object) -> Drift:
    known: dict[str, object] = {
        "fleet": "prod",
        "gravity": Gravity.EXPOSURE,
        "changes": (
            Edit(path="publicNetworkAccess", before="Disabled", after="Enabled"),
            Edit(path="networkAcls.ipRules", before=["192.0.2.7"], after=["192.0.2.7", "0.0.0.0/0"]),
        ),
        "actor": "mallory@example.com",
        "since": "2026-11-28T15:20:11Z",
        "first_seen": NOW - 252,
        "last_seen": NOW - 12,
        "correction": Correction.BLOCKED,
        "because": "outside the hours that spec.maintenance allows; writes go on at 2026-11-28 22:00 CET",
        "returns": 2,
    }
    return Drift(
        key=name_drift("prod", id),
        id=id,
        ref=Ref(kind="Account", name=name),
        **{**known, **more},  # type: ignore[arg-type]
    )


def bad() -> Health:
    """Everything at once: a door open, quota short, documents wrong, a fleet that cannot sign in, pauses, waits."""
    late = drift(
        OTHER,
        "aoai-swc/deployments/mini",
        gravity=Gravity.CAPACITY,
        changes=(Edit(path="sku.capacity", before=120, after=30),),
        actor="unknown yet",
        since="",
        first_seen=NOW - 40,
        correction=Correction.DUE,
        because="",
        returns=0,
    )
    blocked = Decision(
        id=account(9).child("deployments", "big"),
        ref=Ref(kind="Account", name="aoai-009/deployments/big"),
        state=DecisionState.BLOCKED,
        action=Action.CREATE,
        code="quota",
        reason="needs 400 of OpenAI.Standard.gpt-4o in swedencentral, 90 are left",
        permit="ask for more, or declare less",
    )
    stranger = Decision(
        id=account(8),
        ref=Ref(kind="Account", name="aoai-008"),
        state=DecisionState.BLOCKED,
        code="not_owned",
        reason="exists but does not carry our tag reconciler-fleet",
        permit="set lifecycle.adopt: true in its document to take it over",
    )
    busy = Decision(
        id=account(7),
        ref=Ref(kind="Account", name="aoai-007"),
        state=DecisionState.IN_PROGRESS,
        reason="Azure is still working on it (Creating)",
    )
    held = [
        Decision(
            id=account(20 + number),
            ref=Ref(kind="Account", name=f"aoai-{20 + number:03}"),
            state=DecisionState.BLOCKED,
            action=Action.UPDATE,
            code="paused",
            reason="paused by ada until 2026-11-28T18:00:00Z: load test",
            permit="wait, or end it with `reconciler resume`",
        )
        for number in range(5)
    ]
    outlook = Outlook(
        retirements=(retirement(4, Nearness.CRITICAL, "gpt-35-turbo"), retirement(74, Nearness.NOTICE)),
    )
    prod = Plan(
        fleet="prod",
        decisions=(*estate(), CREATE, SHRINK, blocked, stranger, busy, *held),
        steps=(CREATE_STEP,),
        blind=(("Microsoft.Network/privateEndpoints in /subscriptions/1", FORBIDDEN),),
        outlook=outlook,
        principal="11-22-33",
    )
    sign_in = Fault(
        cls=FaultClass.FORBIDDEN,
        code="credential_failed",
        message="AADSTS7000222: the client secret has expired",
        advice="renew the secret that AZURE_CLIENT_SECRET holds",
        status=401,
    )
    finding = Finding(
        code="value_invalid",
        message="capacity is 'many'",
        hint="a whole number",
        origin=Origin(file="prod.yaml", line=21, column=31),
    )
    drifts = {each.key: each for each in (drift(), late)}
    alert = Alert(
        key="invalid", name="ReconcilerInvalidDesiredState", level=Level.WARNING, summary="1 error", began=NOW - 5000
    )
    tight = Ledger(
        pools=(
            pool(takes=60, short=340),
            pool("westeurope", used=120, ours=100, others=0),
            pool("francecentral", "OpenAI.GlobalStandard.gpt-4.1-mini", used=5, ours=5, others=0, limit=5000),
        ),
        unread={"uksouth": FORBIDDEN},
    )
    failed = PassRecord(
        began=NOW - 14,
        ended=NOW - 3,
        trigger="interval",
        result=PassResult.FAILED,
        fleets=2,
        writes=1,
        failed=1,
        waits=1,
        requests=131,
        why="test: credential_failed: AADSTS7000222: the client secret has expired",
    )
    return health(
        fleet(prod, outcome(CREATE_STEP, Result.DONE), ledger=tight, in_sync_at=NOW - 7300),
        FleetHealth(name="test", fault=sign_in, looked_at=NOW - 4000),
        journal=Journal(drifts=drifts, alerts={"invalid": alert}, dead=1),
        findings=(finding,),
        pauses=(
            Pause(
                until=NOW + 9000, fleet="prod", kind="Account", target="Account/aoai-020", by="ada", reason="load test"
            ),
        ),
        passes=(failed, *_PAST),
        succeeded_at=NOW - 72,
    )


def large(accounts: int = 500) -> Health:
    drifts = [drift(account(number), f"aoai-{number:03}", first_seen=NOW - number) for number in range(60)]
    pools = tuple(
        pool(f"region{number:02}", used=10 + 9 * number, ours=10, others=0, limit=300) for number in range(30)
    )
    plan = Plan(fleet="prod", decisions=estate(accounts, 10), steps=())
    return health(fleet(plan, ledger=Ledger(pools=pools)), journal=Journal(drifts={each.key: each for each in drifts}))


def hostile() -> Health:
    """A name that would be markup, turn what is around it, hide, or be endless, everywhere one can stand."""
    id = GROUP.resource("Microsoft.CognitiveServices/accounts", HOSTILE)
    edit = Edit(path=HOSTILE, before=HOSTILE, after=[HOSTILE, HOSTILE])
    worst = drift(id, HOSTILE, fleet=HOSTILE, actor=HOSTILE, because=HOSTILE, changes=(edit,))
    blocked = Decision(
        id=id,
        ref=Ref(kind="Account", name=HOSTILE),
        state=DecisionState.BLOCKED,
        code=HOSTILE,
        reason=HOSTILE,
        permit=HOSTILE,
    )
    busy = Decision(id=OTHER, ref=Ref(kind=HOSTILE, name=HOSTILE), state=DecisionState.IN_PROGRESS, reason=HOSTILE)
    fault = Fault(cls=FaultClass.UNKNOWN, code=HOSTILE, message=HOSTILE, advice=HOSTILE)
    plan = Plan(
        fleet=HOSTILE,
        decisions=(blocked, busy, in_sync(ACCOUNT, HOSTILE)),
        steps=(),
        blind=((HOSTILE, fault),),
        stopped=HOSTILE,
        principal=HOSTILE,
        outlook=Outlook(retirements=(retirement(4, Nearness.CRITICAL, HOSTILE),)),
    )
    return health(
        fleet(plan, ledger=Ledger(pools=(pool(HOSTILE, HOSTILE),), unread={HOSTILE: fault})),
        FleetHealth(name=HOSTILE + "2", fault=fault),
        journal=Journal(drifts={worst.key: worst}),
        findings=(Finding(code=HOSTILE, message=HOSTILE, hint=HOSTILE, origin=Origin(file=HOSTILE, line=1, column=1)),),
        pauses=(Pause(until=NOW + 9, fleet=HOSTILE, kind=HOSTILE, target=HOSTILE, by=HOSTILE, reason=HOSTILE),),
        passes=(PassRecord(began=NOW, ended=NOW, trigger=HOSTILE, result=PassResult.FAILED, fleets=1, why=HOSTILE),),
        version=HOSTILE,
    )
