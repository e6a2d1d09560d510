"""Plans made by hand, with one of everything a person may meet in them."""

from __future__ import annotations

from reconciler.model.finding import Fault, FaultClass, Finding, Origin, Severity
from reconciler.model.ids import ArmId, Ref
from reconciler.model.outcome import CycleReport, Outcome, Result
from reconciler.model.plan import (
    Action,
    Decision,
    DecisionState,
    Effect,
    FieldChange,
    Phase,
    Plan,
    Risk,
    Step,
    Verb,
)
from reconciler.model.reach import Way

GROUP = ArmId(subscription="11111111-1111-1111-1111-111111111111", group="rg-ai")
ACCOUNT = GROUP.resource("Microsoft.CognitiveServices/accounts", "aoai-swc")
DEPLOYMENT = ACCOUNT.child("deployments", "gpt-4o")
OTHER = ACCOUNT.child("deployments", "mini")
OLD = GROUP.resource("Microsoft.CognitiveServices/accounts", "aoai-old")
STRANGER = GROUP.resource("Microsoft.CognitiveServices/accounts", "aoai-weu")
BUSY = GROUP.resource("Microsoft.CognitiveServices/accounts", "aoai-busy")

LET_IN = Way(source="203.0.113.0/24", target=ACCOUNT, path="public endpoint", ports="443")
STOPPED = Way(source="198.51.100.0/24", target=ACCOUNT, path="public endpoint", ports="443")

QUIET = Decision(
    id=GROUP, ref=Ref(kind="ResourceGroup", name="rg-ai"), state=DecisionState.IN_SYNC, reason="as declared"
)

UPDATE = Decision(
    id=ACCOUNT,
    ref=Ref(kind="Account", name="aoai-swc"),
    state=DecisionState.ACT,
    action=Action.UPDATE,
    reason="differs from its document",
    risk=Risk.OPENS,
    changes=(
        FieldChange(path="disableLocalAuth", before=False, after=True, closes=True),
        FieldChange(
            path="networkAcls.ipRules",
            before=["198.51.100.0/24", "192.0.2.7"],
            after=["192.0.2.7", "203.0.113.0/24"],
            opens=True,
            closes=True,
        ),
        FieldChange(path="tags.team", before="a", after=None),
    ),
    requests=5,
    seconds=31,
    location="swedencentral",
    origin=Origin(file="prod.yaml", line=12, column=1),
    owned=True,
    opened=(LET_IN,),
    closed=(STOPPED,),
)

CREATE = Decision(
    id=DEPLOYMENT,
    ref=Ref(kind="Account", name="aoai-swc/deployments/gpt-4o"),
    state=DecisionState.ACT,
    action=Action.CREATE,
    reason="does not exist",
    changes=(
        FieldChange(path="model.name", before=None, after="gpt-4o"),
        FieldChange(path="model.version", before=None, after="0613"),
        FieldChange(path="sku.capacity", before=1, after=50),
    ),
    requests=3,
    seconds=5,
    origin=Origin(file="prod.yaml", line=21, column=7),
)

SHRINK = Decision(
    id=OTHER,
    ref=Ref(kind="Account", name="aoai-swc/deployments/mini"),
    state=DecisionState.IN_SYNC,
    reason="as declared",
)

DELETE = Decision(
    id=OLD,
    ref=Ref(kind="Account", name="aoai-old"),
    state=DecisionState.ACT,
    action=Action.DELETE,
    reason="no document declares it",
    risk=Risk.DESTROYS,
    warnings=("deleting an account takes its fine-tuned models with it",),
    requests=5,
    seconds=31,
    location="westeurope",
    owned=True,
)

BLOCKED = Decision(
    id=STRANGER,
    ref=Ref(kind="Account", name="aoai-weu"),
    state=DecisionState.BLOCKED,
    reason="exists but does not carry our tag reconciler-fleet: it was made by somebody else, or the tag was removed",
    permit="set lifecycle.adopt: true in its document to take it over",
    code="not_owned",
    location="westeurope",
    origin=Origin(file="prod.yaml", line=40, column=1),
)

WAITING = Decision(
    id=BUSY,
    ref=Ref(kind="Account", name="aoai-busy"),
    state=DecisionState.IN_PROGRESS,
    reason="Azure is still working on it (Creating)",
    location="swedencentral",
)

UPDATE_STEP = Step(
    name="Account/aoai-swc#write-1",
    id=ACCOUNT,
    verb=Verb.PATCH,
    action=Action.UPDATE,
    phase=Phase.LOOSEN,
    fields={"disableLocalAuth": True},
    expects={"disableLocalAuth": False},
)
CREATE_STEP = Step(
    name="Account/aoai-swc/deployments/gpt-4o#create",
    id=DEPLOYMENT,
    verb=Verb.PUT,
    action=Action.CREATE,
    phase=Phase.BUILD,
    fields={"model.name": "gpt-4o"},
)
DELETE_STEP = Step(
    name="Account/aoai-old#delete", id=OLD, verb=Verb.DELETE, action=Action.DELETE, phase=Phase.RELEASE, expects={}
)

FORBIDDEN = Fault(
    cls=FaultClass.FORBIDDEN,
    code="AuthorizationFailed",
    message="The client has no permission",
    advice="grant the role Reader on the subscription",
    status=403,
    request_id="req-1",
)

MIXED = Plan(
    fleet="prod",
    decisions=(QUIET, DELETE, UPDATE, CREATE, SHRINK, BLOCKED, WAITING),
    steps=(DELETE_STEP, CREATE_STEP, UPDATE_STEP),
    findings=(
        Finding(
            severity=Severity.WARNING,
            code="old_model",
            message="gpt-4o 0613 is retired soon",
            hint="declare a newer version",
            origin=Origin(file="prod.yaml", line=22, column=9),
        ),
    ),
    requests_spent=8,
)

CONVERGED = Plan(fleet="prod", decisions=(QUIET, SHRINK), steps=(), requests_spent=4)

SECRET = Plan(
    fleet="prod",
    decisions=(
        Decision(
            id=ACCOUNT,
            ref=Ref(kind="Account", name="aoai-swc"),
            state=DecisionState.ACT,
            action=Action.UPDATE,
            reason="differs",
            changes=(FieldChange(path="key", before="hunter1", after="hunter2", sensitive=True),),
        ),
    ),
    steps=(),
)

HOSTILE_NAME = "x`|<b>@all</b>\n\x1b[31m"
HOSTILE = Plan(
    fleet="prod",
    decisions=(
        Decision(
            id=GROUP.resource("Microsoft.CognitiveServices/accounts", HOSTILE_NAME),
            ref=Ref(kind="Account", name=HOSTILE_NAME),
            state=DecisionState.ACT,
            action=Action.UPDATE,
            reason=HOSTILE_NAME,
            risk=Risk.OPENS,
            changes=(
                FieldChange(
                    path="tags.```", before=HOSTILE_NAME, after="```\n</details>", effect=Effect.IN_PLACE, opens=True
                ),
            ),
        ),
    ),
    steps=(),
)


def outcome(step: Step, result: Result, **more: object) -> Outcome:
    began, ended = 100.0, 141.0
    known = Outcome(step=step, result=result, began=began, ended=ended, requests=3)
    return _replace(known, more)


def _replace(known: Outcome, more: dict[str, object]) -> Outcome:
    fault, because = more.get("fault"), more.get("because", "")
    assert fault is None or isinstance(fault, Fault)
    return Outcome(
        step=known.step,
        result=known.result,
        because=str(because),
        fault=fault,
        began=known.began,
        ended=known.ended,
        requests=known.requests,
    )


def report(
    plan: Plan, *outcomes: Outcome, began: float = 100.0, ended: float = 172.0, refused: str = ""
) -> CycleReport:
    return CycleReport(plan=plan, outcomes=outcomes, began=began, ended=ended, requests=17, refused=refused)
