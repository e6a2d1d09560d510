"""`Microsoft.CognitiveServices/quotaTiers`: which tier a subscription is in, and whether it may rise by itself.

A tier is seeded with what the next one brings. It rises when its date has come and the policy lets it; limits are only
ever raised, and what was raised by hand stays.
"""

from typing import Final

from armsim import catalogue, errors, quota
from armsim.clock import from_iso, iso
from armsim.cloud import Call, Cloud, Reply
from armsim.store import World
from armsim.wire import Body, encode, fold_location, look

POLICIES: Final = ("OnceUpgradeIsAvailable", "NoAutoUpgrade")
TYPE: Final = "Microsoft.CognitiveServices/quotaTiers"
# As a subscription that nobody looked at: it rises when it may, and may not.
PLAIN: Final[Body] = {
    "currentTierName": "Tier-1",
    "assignmentDate": "2025-10-01T00:00:00Z",
    "tierUpgradePolicy": POLICIES[0],
    "tierUpgradeEligibilityInfo": {
        "nextTierName": "Tier-2",
        "upgradeAvailabilityStatus": "NotAvailable",
        "upgradeUnavailabilityReason": "The usage of the subscription does not reach that of the next tier.",
    },
}


def seed(cloud: Cloud, entry: Body) -> None:
    """`{subscriptionId, …}` with what the API answers, and `nextLimits` by location, `*` for all, and usage name."""
    subscription = str(entry["subscriptionId"]).lower()
    known = {*PLAIN, "subscriptionId", "nextLimits"}
    if unknown := sorted(set(entry) - known):
        raise ValueError(f"no such part of a tier: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    for locations in (entry.get("nextLimits") or {}).values():
        for limit in locations.values():
            float(limit)
    before = cloud.world.tiers.get(subscription, PLAIN)
    given = {name: value for name, value in entry.items() if name != "subscriptionId"}
    cloud.world.tiers[subscription] = {**before, **given, "tierUpgradePolicy": _policy({**before, **given})}
    _await_upgrade(cloud, subscription)


def get(cloud: Cloud, call: Call) -> Reply:
    return Reply(200, encode(_render(cloud, call)))


def list_all(cloud: Cloud, call: Call) -> Reply:
    return Reply(200, encode({"value": [_render(cloud, call)]}))


def put(cloud: Cloud, call: Call) -> Reply:
    """Only the policy can be written, by PUT and PATCH alike; what else is sent is passed over."""
    subscription = call.names[0].lower()
    sent = call.mapping.get("properties")
    tier = cloud.world.tiers.get(subscription, PLAIN)
    if sent is not None and not isinstance(sent, dict):
        raise errors.gateway(400, "InvalidRequestContent", "The request content was invalid: properties is no object.")
    if (sent or {}).get("tierUpgradePolicy") is not None:
        policy = _policy(sent or {})
        if policy != tier["tierUpgradePolicy"]:
            cloud.world.tiers[subscription] = {**tier, "tierUpgradePolicy": policy}
            cloud.world.version += 1
            _await_upgrade(cloud, subscription)
    return get(cloud, call)


def upgrade(cloud: Cloud, at: float, subscription: str) -> None:
    """The moment at which a tier may rise: it does if it still may."""
    tier = cloud.world.tiers[subscription]
    due = _due(tier)
    if due is None or due > at:
        return
    for location, limits in (tier.get("nextLimits") or {}).items():
        for region in catalogue.regions() if location == "*" else [fold_location(location)]:
            for pool, limit in limits.items():
                _raise(cloud.world, (subscription, region, pool), float(limit))
    risen = {name: value for name, value in tier.items() if name != "nextLimits"}
    cloud.world.tiers[subscription] = {
        **risen,
        "currentTierName": look(tier, "tierUpgradeEligibilityInfo.nextTierName"),
        "assignmentDate": iso(at),
        "tierUpgradeEligibilityInfo": {
            "upgradeAvailabilityStatus": "NotAvailable",
            "upgradeUnavailabilityReason": "The subscription has been upgraded recently.",
        },
    }
    cloud.world.version += 1


def _raise(world: World, at: tuple[str, str, str], limit: float) -> None:
    subscription, location, pool = at
    key = (subscription, location, pool.lower())
    if limit > quota.limit_of(world, *key):
        world.limits[key] = limit
        world.spelled.setdefault(pool.lower(), pool)


def _await_upgrade(cloud: Cloud, subscription: str) -> None:
    due = _due(cloud.world.tiers[subscription])
    if due is not None:
        cloud.world.schedule(max(due, cloud.clock.now()) + cloud.settings.tier_rises, "tier", subscription)


def _due(tier: Body) -> float | None:
    """When it would rise; None when it may not."""
    eligible: Body = tier.get("tierUpgradeEligibilityInfo") or {}
    available = str(eligible.get("upgradeAvailabilityStatus", "")).lower() == "available"
    if tier["tierUpgradePolicy"] != POLICIES[0] or not available or not eligible.get("nextTierName"):
        return None
    date = eligible.get("upgradeApplicableDate")
    return from_iso(str(date)) if date else 0.0


def _policy(properties: Body) -> str:
    value = str(properties["tierUpgradePolicy"])
    for choice in POLICIES:
        if value.lower() == choice.lower():
            return choice
    raise errors.bad_request(f"tierUpgradePolicy must be one of {', '.join(POLICIES)}; it is '{value}'.")


def _render(cloud: Cloud, call: Call) -> Body:
    tier = cloud.world.tiers.get(call.names[0].lower(), PLAIN)
    return {
        "id": f"/subscriptions/{call.names[0]}/providers/{TYPE}/default",
        "type": TYPE,
        "name": "default",
        "properties": {name: tier[name] for name in PLAIN if name in tier},
    }
