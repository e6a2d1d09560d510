"""Between plan and write the name can become somebody else's."""

from __future__ import annotations

from reconciler.model.finding import Origin
from reconciler.model.ids import ArmId, Ref
from reconciler.model.plan import Verb
from reconciler.model.resource import OWNER_TAG, CloudTarget, Desired, Fleet, Live, Snapshot
from reconciler.plan import make_plan

GROUP = ArmId(subscription="00000000-0000-0000-0000-000000000001", group="rg")
ACCOUNT = GROUP.resource("Microsoft.CognitiveServices/accounts", "aoai")
HERE = Origin(file="a.yaml", line=1, column=1)


def test_an_update_expects_the_owner_that_was_read() -> None:
    desired = Desired(id=ACCOUNT, ref=Ref(kind="Account", name="aoai"), fields={"disableLocalAuth": True}, origin=HERE)
    target = CloudTarget(endpoint="https://a", authority="https://b", audience="https://a", credential="default")
    fleet = Fleet(name="prod", subscription=GROUP.subscription, target=target, desired={ACCOUNT: desired}, origin=HERE)
    wire = {"id": str(ACCOUNT), "tags": {OWNER_TAG: "prod"}, "properties": {"disableLocalAuth": False}}
    live = Live(id=ACCOUNT, wire=wire, owner="prod")  # type: ignore[arg-type]
    (step,) = make_plan(fleet, Snapshot(taken_at=0.0, live={ACCOUNT: live})).steps
    assert step.verb is Verb.PATCH
    assert step.expects == {f"tags.{OWNER_TAG}": "prod", "disableLocalAuth": False}
