"""The quota tier of a subscription: whether Azure may raise all limits at once by itself. A Fleet says so, no document.

There is one in every subscription, whoever uses it: it is never made, deleted or owned, and lies in no resource group.
"""

from __future__ import annotations

from typing import Final

from reconciler.kinds.base import Binding, Field, ResourceType
from reconciler.kinds.values import one_of
from reconciler.model.ids import ArmId
from reconciler.model.wire import JsonObject, read_path

POLICIES: Final = ("OnceUpgradeIsAvailable", "NoAutoUpgrade")
NAME: Final = "default"


def tell_tier(wire: JsonObject) -> str:
    """Which tier it is, and whether there is a better one: `tier Tier-1 since 2025-10-01; Tier-2 is not available`."""
    tier, since = _text(wire, "currentTierName"), _text(wire, "assignmentDate")
    told = f"tier {tier or 'unknown'}" + (f" since {since[:10]}" if since else "")
    following = _text(wire, "tierUpgradeEligibilityInfo", "nextTierName") or "a higher one"
    status = _text(wire, "tierUpgradeEligibilityInfo", "upgradeAvailabilityStatus").lower()
    if status == "available":
        date = _text(wire, "tierUpgradeEligibilityInfo", "upgradeApplicableDate")
        return f"{told}; {following} is available" + (f" from {date[:10]} on" if date else "")
    why = _text(wire, "tierUpgradeEligibilityInfo", "upgradeUnavailabilityReason")
    return f"{told}; {following} is not available" + (f": {why.rstrip('.')}" if why else "") if status else told


def _text(wire: JsonObject, *path: str) -> str:
    value = read_path(wire, ("properties", *path))
    return value if isinstance(value, str) else ""


TYPE = ResourceType(
    arm_type="Microsoft.CognitiveServices/quotaTiers",
    word="quota tier",
    binding=Binding(
        client="cognitiveservices",
        group="quota_tiers",
        names=("default",),
        get="get",
        put="create_or_update",
        body="tier",
        patch="update",
        patch_body="tier",
    ),
    fields=(Field(path="tierUpgradePolicy", wire=("properties", "tierUpgradePolicy"), normal=one_of(*POLICIES)),),
    readonly=(
        ("properties", "currentTierName"),
        ("properties", "assignmentDate"),
        ("properties", "tierUpgradeEligibilityInfo"),
    ),
    patches=True,
    tells=tell_tier,
)


def tier_of(subscription: str) -> ArmId:
    """The id of a subscription's one tier."""
    provider, _, segment = TYPE.arm_type.partition("/")
    return ArmId(subscription=subscription, provider=provider, segments=((segment, NAME),))
