"""The world: resources by folded id, what is buried, running operations, what each region's pools hold, what is due.

Bodies are never changed in place: a change stores a new `Resource`, so the journal can keep the old one and a rendered
answer stays valid as long as its resource. Knows no resource type's rules; those are in `rp/`.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import NamedTuple, Self

from armsim.wire import Body, encode, fold_location

GROUP = "microsoft.resources/resourcegroups"
ACCOUNT = "microsoft.cognitiveservices/accounts"
DEPLOYMENT = "microsoft.cognitiveservices/accounts/deployments"
RAI_POLICY = "microsoft.cognitiveservices/accounts/raipolicies"
CONNECTION = "microsoft.cognitiveservices/accounts/privateendpointconnections"
DELETED = "microsoft.cognitiveservices/deletedaccounts"
SECURITY_GROUP = "microsoft.network/networksecuritygroups"
SECURITY_RULE = "microsoft.network/networksecuritygroups/securityrules"
NETWORK = "microsoft.network/virtualnetworks"
SUBNET = "microsoft.network/virtualnetworks/subnets"
INTERFACE = "microsoft.network/networkinterfaces"
ENDPOINT = "microsoft.network/privateendpoints"
ZONE_GROUP = "microsoft.network/privateendpoints/privatednszonegroups"
ZONE = "microsoft.network/privatednszones"
LINK = "microsoft.network/privatednszones/virtualnetworklinks"
# What has a location and tags of its own, and so is found in generic lists.
TRACKED = (ACCOUNT, SECURITY_GROUP, NETWORK, INTERFACE, ENDPOINT, ZONE, LINK)

JOURNAL = 50_000
ACTIVITY = 5_000

PoolKey = tuple[str, str, str]
Held = tuple[tuple[str, float], ...]


class ArmId(NamedTuple):
    """An id taken apart. `parents` are the names of outer resources, outermost first."""

    subscription: str
    group: str
    type: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        parts = [part for part in text.split("/") if part]
        low = [part.lower() for part in parts]
        subscription = parts[1] if low[:1] == ["subscriptions"] and len(parts) > 1 else ""
        group = parts[3] if low[2:3] == ["resourcegroups"] and len(parts) > 3 else ""
        if "providers" not in low:
            return cls(subscription, group, GROUP if group else "", group)
        tail = parts[len(low) - 1 - low[::-1].index("providers") + 1 :]
        kind = "/".join([tail[0], *tail[1::2]]).lower()
        return cls(subscription, group, kind, tail[-1])


class Resource:
    """One stored version of a resource."""

    __slots__ = (
        "_rendered",
        "body",
        "created",
        "group",
        "held",
        "id",
        "key",
        "location",
        "name",
        "subscription",
        "type",
    )

    def __init__(self, id_: str, body: Body, created: float) -> None:
        self.id = id_
        self.key = id_.lower()
        parsed = ArmId.parse(id_)
        self.subscription = parsed.subscription.lower()
        self.group = parsed.group.lower()
        self.type = parsed.type
        self.name = parsed.name
        self.location = fold_location(str(body.get("location", "")))
        self.created = created
        self.body = body
        self.held: Held = ()
        self._rendered: bytes | None = None

    @property
    def parent(self) -> str:
        """The folded id of the parent resource of a child."""
        return self.key.rsplit("/", 2)[0]

    @property
    def state(self) -> str:
        return str(self.body.get("properties", {}).get("provisioningState", ""))

    def render(self) -> bytes:
        if self._rendered is None:
            self._rendered = encode(self.body)
        return self._rendered

    def succeed(self, body: Body) -> "Resource":
        """The next version of the same resource."""
        after = Resource(self.id, body, self.created)
        after.location = after.location or self.location
        after.held = self.held
        return after


@dataclass(slots=True)
class Operation:
    """A long-running operation. `end` is None while it is stuck."""

    guid: str
    subscription: str
    location: str
    verb: str
    target: str
    effect: str
    start: float
    end: float | None
    lane: str | None = None
    status: str = ""
    error: Body | None = None
    recover: float | None = None
    fault: str | None = None
    scope: str = ""
    version: str = ""


@dataclass(slots=True)
class Grave:
    """A soft-deleted account and what it took along."""

    account: Resource
    children: list[Resource]
    location: str
    purge_at: float
    purging: bool = False


@dataclass(slots=True)
class Subscription:
    id: str
    tenant: str
    name: str
    unregistered: set[str] = field(default_factory=set)
    registering: dict[str, float] = field(default_factory=dict)


class Entry(NamedTuple):
    at: float
    key: str
    before: Resource | None


class World:
    """Everything that survives a restart, with the indices that keep requests cheap."""

    def __init__(self) -> None:
        self.resources: dict[str, Resource] = {}
        self.collections: dict[str, dict[str, None]] = {}
        self.by_type: dict[tuple[str, str], dict[str, None]] = {}
        self.graves: dict[str, Grave] = {}
        self.operations: dict[str, Operation] = {}
        self.lanes: dict[str, str] = {}
        self.used: dict[PoolKey, float] = {}
        # What nobody holds any more and still counts, by ticket.
        self.lingering: dict[str, list[tuple[PoolKey, float]]] = {}
        self.limits: dict[PoolKey, float] = {}
        # How many units a region can run: location, model, version, SKU; an empty name stands for all.
        self.hardware: dict[tuple[str, ...], float] = {}
        # By subscription, what the API of quota tiers answers and the limits that the next tier brings.
        self.tiers: dict[str, Body] = {}
        # Pools that the catalogue does not know, as they were written.
        self.spelled: dict[str, str] = {}
        self.domains: dict[str, str] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.locks: list[Body] = []
        self.policies: list[Body] = []
        self.denied: list[Body] = []
        # None as long as nobody was granted anything: then everybody may do everything.
        self.grants: list[Body] | None = None
        # Changes of the two that do not hold yet, by ticket.
        self.coming: dict[str, Body] = {}
        self.hidden: dict[str, float] = {}
        self.keys: dict[str, list[str]] = {}
        self.journal: deque[Entry] = deque(maxlen=JOURNAL)
        # Who wrote what, as events of the activity log.
        self.activity: deque[Body] = deque(maxlen=ACTIVITY)
        self.version = 0
        self._due: list[tuple[float, int, str, str]] = []
        self._ticket = itertools.count(1)

    # -- resources

    def get(self, key: str) -> Resource | None:
        return self.resources.get(key)

    def put(self, resource: Resource, now: float) -> Resource:
        """Store a new resource or the next version of one."""
        before = self.resources.get(resource.key)
        self.journal.append(Entry(now, resource.key, before))
        self.version += 1
        if before is not None:
            self._hold(before, -1)
        else:
            self.collections.setdefault(resource.key.rpartition("/")[0], {})[resource.key] = None
            self.by_type.setdefault((resource.subscription, resource.type), {})[resource.key] = None
        self._hold(resource, +1)
        self.resources[resource.key] = resource
        self._name_domain(resource)
        return resource

    def remove(self, key: str, now: float) -> Resource | None:
        """Take a resource away and free what it held."""
        found = self._take(key, now)
        if found is None:
            return None
        self._hold(found, -1)
        domain = _domain(found)
        if domain and self.domains.get(domain) == key:
            del self.domains[domain]
        return found

    def children(self, key: str) -> list[Resource]:
        """Everything below a resource, in order of creation."""
        prefix = key + "/"
        return [
            self.resources[each]
            for collection, keys in self._collections_below(prefix)
            for each in keys
            if collection.startswith(prefix)
        ]

    def members(self, collection: str) -> Iterator[Resource]:
        """The members of a collection, in order of creation."""
        return (self.resources[key] for key in self.collections.get(collection, ()))

    def of_type(self, subscription: str, type_: str) -> Iterator[Resource]:
        return (self.resources[key] for key in self.by_type.get((subscription, type_), ()))

    # -- graves

    def bury(self, key: str, tombstone: Resource, grave: Grave, now: float) -> None:
        """Move an account and its children out of sight; what they hold stays held, the domain stays taken."""
        for child in grave.children:
            self._take(child.key, now)
        self._take(key, now)
        self.graves[tombstone.key] = grave
        self.put(tombstone, now)

    def exhume(self, tombstone: str, now: float) -> Grave:
        """Open a grave; the caller puts the account and its children back, which hold what they held."""
        grave = self.graves.pop(tombstone)
        self.remove(tombstone, now)
        for each in (grave.account, *grave.children):
            self._hold(each, -1)
        return grave

    def purge(self, tombstone: str, now: float, returns: float = 0.0) -> None:
        """An account is gone for good; what it held counts until `returns`, a moment."""
        grave = self.exhume(tombstone, now)
        for each in (grave.account, *grave.children):
            self.linger(each, each.held, now, returns)
        domain = _domain(grave.account)
        if domain and self.domains.get(domain) == grave.account.key:
            del self.domains[domain]
        self.keys.pop(grave.account.key, None)

    # -- pools

    def in_use(self, key: PoolKey) -> float:
        return self.used.get(key, 0.0)

    def linger(self, resource: Resource, held: Held, now: float, returns: float) -> None:
        """What a resource held and nobody holds any more goes on counting until `returns`, a moment."""
        if returns > now and held:
            ticket = f"{resource.key}@{returns}#{next(self._ticket)}"
            self._count(ticket, [((resource.subscription, resource.location, pool), amount) for pool, amount in held])
            self.schedule(returns, "return", ticket)

    def give_back(self, ticket: str) -> None:
        """What lingered under this ticket counts no longer."""
        for key, amount in self.lingering.pop(ticket, []):
            self.used[key] = self.used.get(key, 0.0) - amount

    # -- what is due

    def schedule(self, at: float, kind: str, subject: str) -> None:
        heapq.heappush(self._due, (at, next(self._ticket), kind, subject))

    def pop_due(self, now: float) -> tuple[float, str, str] | None:
        if not self._due or self._due[0][0] > now:
            return None
        at, _, kind, subject = heapq.heappop(self._due)
        return at, kind, subject

    # -- as it was

    def before(self, moment: float) -> dict[str, Resource | None]:
        """What differs from now in the world as it was at a moment: by key, the old version or None."""
        found: dict[str, Resource | None] = {}
        for entry in reversed(self.journal):
            # Not in strict order of time: a seed may have happened long ago.
            if entry.at > moment:
                found[entry.key] = entry.before
        return found

    # -- persistence

    def dump(self) -> Body:
        return {
            "resources": [_freeze(each) for each in self.resources.values()],
            "graves": [
                {
                    "key": key,
                    "account": _freeze(grave.account),
                    "children": [_freeze(each) for each in grave.children],
                    "location": grave.location,
                    "purgeAt": grave.purge_at,
                    "purging": grave.purging,
                }
                for key, grave in self.graves.items()
            ],
            "operations": [asdict(each) for each in self.operations.values()],
            "lanes": self.lanes,
            "lingering": {ticket: [[*key, amount] for key, amount in held] for ticket, held in self.lingering.items()},
            "limits": [[*key, limit] for key, limit in self.limits.items()],
            "hardware": [[*place, units] for place, units in self.hardware.items()],
            "tiers": self.tiers,
            "spelled": self.spelled,
            "subscriptions": [
                {
                    "id": each.id,
                    "tenant": each.tenant,
                    "name": each.name,
                    "unregistered": sorted(each.unregistered),
                    "registering": each.registering,
                }
                for each in self.subscriptions.values()
            ],
            "locks": self.locks,
            "policies": self.policies,
            "denied": self.denied,
            "grants": self.grants,
            "coming": self.coming,
            "hidden": self.hidden,
            "keys": self.keys,
            "activity": list(self.activity),
            "due": [[at, kind, subject] for at, _, kind, subject in sorted(self._due)],
        }

    @classmethod
    def load(cls, dump: Body, now: float) -> Self:
        world = cls()
        for each in dump["resources"]:
            world.put(_thaw(each), now)
        for each in dump["graves"]:
            grave = Grave(
                _thaw(each["account"]),
                [_thaw(child) for child in each["children"]],
                each["location"],
                each["purgeAt"],
                each["purging"],
            )
            world.graves[each["key"]] = grave
            for held in (grave.account, *grave.children):
                world._hold(held, +1)
            world._name_domain(grave.account)
        world.operations = {each["guid"]: Operation(**each) for each in dump["operations"]}
        world.lanes = dict(dump["lanes"])
        for ticket, held in dump.get("lingering", {}).items():
            world._count(ticket, [((each[0], each[1], each[2]), each[3]) for each in held])
        world.limits = {(each[0], each[1], each[2]): each[3] for each in dump["limits"]}
        world.hardware = {tuple(each[:-1]): each[-1] for each in dump.get("hardware", [])}
        world.tiers = dict(dump.get("tiers", {}))
        world.spelled = dict(dump.get("spelled", {}))
        for each in dump["subscriptions"]:
            world.subscriptions[each["id"].lower()] = Subscription(
                each["id"], each["tenant"], each["name"], set(each["unregistered"]), dict(each["registering"])
            )
        world.locks, world.policies, world.denied = dump["locks"], dump["policies"], dump["denied"]
        world.grants, world.coming = dump.get("grants"), dict(dump.get("coming", {}))
        world.hidden, world.keys = dict(dump["hidden"]), dict(dump["keys"])
        world.activity.extend(dump.get("activity", []))
        for at, kind, subject in dump["due"]:
            world.schedule(at, kind, subject)
        world.journal.clear()
        return world

    # -- inside

    def _take(self, key: str, now: float) -> Resource | None:
        found = self.resources.pop(key, None)
        if found is None:
            return None
        self.journal.append(Entry(now, key, found))
        self.version += 1
        self.collections[key.rpartition("/")[0]].pop(key, None)
        self.by_type[(found.subscription, found.type)].pop(key, None)
        return found

    def _hold(self, resource: Resource, sign: int) -> None:
        for pool, amount in resource.held:
            key = (resource.subscription, resource.location, pool)
            self.used[key] = self.used.get(key, 0.0) + sign * amount

    def _count(self, ticket: str, held: list[tuple[PoolKey, float]]) -> None:
        self.lingering[ticket] = held
        for key, amount in held:
            self.used[key] = self.used.get(key, 0.0) + amount

    def _name_domain(self, resource: Resource) -> None:
        if resource.type == ACCOUNT and (domain := _domain(resource)):
            self.domains[domain] = resource.key

    def _collections_below(self, prefix: str) -> list[tuple[str, dict[str, None]]]:
        names = ("deployments", "raipolicies", "privateendpointconnections") if f"/{ACCOUNT}/" in prefix else None
        if names is not None:
            return [(prefix + name, self.collections.get(prefix + name, {})) for name in names]
        return [(name, keys) for name, keys in self.collections.items() if name.startswith(prefix)]


def _domain(resource: Resource) -> str:
    return str(resource.body.get("properties", {}).get("customSubDomainName") or "").lower()


def _freeze(resource: Resource) -> Body:
    return {
        "id": resource.id,
        "key": resource.key,
        "type": resource.type,
        "created": resource.created,
        "location": resource.location,
        "held": [list(each) for each in resource.held],
        "body": resource.body,
    }


def _thaw(frozen: Body) -> Resource:
    resource = Resource(frozen["id"], frozen["body"], frozen["created"])
    resource.key, resource.type, resource.location = frozen["key"], frozen["type"], frozen["location"]
    resource.held = tuple((pool, amount) for pool, amount in frozen["held"])
    return resource
