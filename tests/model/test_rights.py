"""What a list of grants permits, as Azure computes it."""

from __future__ import annotations

import pytest

from reconciler.model.ids import ArmId
from reconciler.model.rights import Grant, Rights
from tests.support.builders import account_id, deployment_id, fault_of, group_id

WRITE = "Microsoft.CognitiveServices/accounts/deployments/write"
SUBSCRIPTION = ArmId(subscription=group_id().subscription)


@pytest.mark.parametrize(
    ("actions", "not_actions", "allowed"),
    [
        (("*",), (), True),
        (("*/write",), (), True),
        (("*/read",), (), False),
        (("Microsoft.CognitiveServices/*",), (), True),
        (("microsoft.COGNITIVESERVICES/Accounts/*/Write",), (), True),
        (("Microsoft.CognitiveServices/accounts/*",), (), True),
        (("Microsoft.CognitiveServices/accounts/write",), (), False),
        (("Microsoft.CognitiveServices/accounts/deployments",), (), False),
        (("Microsoft.CognitiveServices/accounts/deployments/write/more",), (), False),
        (("Microsoft?CognitiveServices/accounts/deployments/write",), (), False),
        ((WRITE,), (), True),
        ((), (), False),
        (("*",), ("*/delete",), True),
        (("*",), ("Microsoft.CognitiveServices/*/write",), False),
        (("*/read", WRITE), ("*",), False),
    ],
)
def test_a_star_stands_for_anything_and_nothing_else_does(
    actions: tuple[str, ...], not_actions: tuple[str, ...], allowed: bool
) -> None:
    assert Grant(actions=actions, not_actions=not_actions).allows(WRITE) is allowed


def test_what_one_grant_takes_away_from_itself_another_one_gives() -> None:
    less = Grant(actions=("*",), not_actions=("Microsoft.CognitiveServices/*",))
    rights = Rights(grants={group_id(): (less, Grant(actions=(WRITE,)))})
    assert rights.allows(WRITE, deployment_id()) is True
    assert rights.allows("Microsoft.CognitiveServices/accounts/write", account_id()) is False
    assert rights.allows("Microsoft.Network/virtualNetworks/write", account_id()) is True


def test_what_is_granted_at_a_place_holds_below_it_only() -> None:
    rights = Rights(grants={SUBSCRIPTION: (), group_id(): (Grant(actions=("*",)),)})
    assert rights.allows(WRITE, deployment_id()) is True
    assert rights.allows(WRITE, group_id()) is True
    assert rights.allows(WRITE, SUBSCRIPTION) is False
    assert rights.allows(WRITE, account_id(group="rg-other")) is False


def test_the_nearest_place_that_is_unknown_makes_it_unknown_unless_one_above_permits() -> None:
    unread = {group_id(): fault_of()}
    assert Rights(grants={SUBSCRIPTION: ()}, unread=unread).allows(WRITE, deployment_id()) is None
    assert Rights(grants={SUBSCRIPTION: (Grant(actions=("*",)),)}, unread=unread).allows(WRITE, deployment_id()) is True
    assert Rights().allows(WRITE, deployment_id()) is None
    assert Rights(unread={SUBSCRIPTION: fault_of()}, grants={group_id(): ()}).allows(WRITE, deployment_id()) is False
