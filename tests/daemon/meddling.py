"""What befalls a fleet in a simulated week: documents that change, people who edit behind our back, and trouble.

Everything is drawn from one seed before it begins, so that it can be had again, and so that a book can be kept of what
people must hear of which the daemon knows nothing.
"""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import yaml

from tests.laws.stage import Document, account_document, deployment, group_document, network_document, rule

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
INTERVAL: Final = 600.0
QUIET: Final = HOUR  # before midnight, when everything that there is is counted
SETTLES: Final = 25 * MINUTE  # within these an edit is seen, put right and found right
REST: Final = 65 * MINUTE  # between two edits of one resource, so that nobody takes them for a fight
FIGHTS: Final = 60 * MINUTE
YIELDS: Final = 31 * HOUR  # a fight is left alone for six hours and remembered for a day
MALLORY: Final = "mallory@example.com"
ZONE: Final = "privatelink.openai.azure.com"
SUBSCRIPTION: Final = "00000000-0000-0000-0000-000000000001"

NORTH = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-north"
SOUTH = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-south"
_NETWORK, _ACCOUNTS = "providers/Microsoft.Network", "providers/Microsoft.CognitiveServices/accounts"
NSG, NSG_SOUTH = f"{NORTH}/{_NETWORK}/networkSecurityGroups/nsg", f"{SOUTH}/{_NETWORK}/networkSecurityGroups/nsg"
VNET, PRIVATE_ZONE = f"{NORTH}/{_NETWORK}/virtualNetworks/vnet", f"{NORTH}/{_NETWORK}/privateDnsZones/{ZONE}"
ENDPOINT = f"{NORTH}/{_NETWORK}/privateEndpoints/pe-back"
LINK, ZONE_GROUP = f"{PRIVATE_ZONE}/virtualNetworkLinks/link", f"{ENDPOINT}/privateDnsZoneGroups/default"
FRONT, BACK = f"{NORTH}/{_ACCOUNTS}/soak-front", f"{NORTH}/{_ACCOUNTS}/soak-back"
EAST, WEST = f"{SOUTH}/{_ACCOUNTS}/soak-east", f"{SOUTH}/{_ACCOUNTS}/soak-west"
CONNECTION = f"{BACK}/privateEndpointConnections/*"  # Azure numbers it anew each time
CAPACITIES: Final = {
    f"{FRONT}/deployments/chat": 30,
    f"{FRONT}/deployments/mini": 20,
    f"{BACK}/deployments/chat": 40,
    f"{EAST}/deployments/chat": 50,
    f"{EAST}/deployments/mini": 25,
    f"{WEST}/deployments/chat": 35,
}
TAGGED: Final = (NORTH, SOUTH, NSG, NSG_SOUTH, VNET, PRIVATE_ZONE, ENDPOINT, FRONT, BACK, EAST, WEST)


class Wish:
    """What the documents say now. `knobs` are the values that change from hour to hour, by the resource that wants
    them: the capacity of a deployment, the tag of all else."""

    def __init__(self) -> None:
        self.knobs: dict[str, Any] = {**CAPACITIES, **dict.fromkeys(TAGGED, "soak")}

    def write(self) -> dict[str, str]:
        """The documents by file."""
        files = {
            "north/fleet.yaml": [_fleet("north"), group_document("rg-north", tags=self._tags(NORTH))],
            "north/network.yaml": [self._nsg(NSG), self._vnet(), self._zone(), self._endpoint()],
            "north/front.yaml": [
                self._account(
                    FRONT,
                    publicNetworkAccess="Enabled",
                    networkAcls={
                        "defaultAction": "Deny",
                        "ipRules": ["203.0.113.0/24"],
                        "virtualNetworkRules": ["vnet/app"],
                    },
                )
            ],
            "north/back.yaml": [
                self._account(
                    BACK,
                    networkAcls={"defaultAction": "Deny"},
                    privateEndpointConnections=[{"match": "pe-back", "status": "Approved", "description": "by soak"}],
                )
            ],
            "south/fleet.yaml": [_fleet("south"), group_document("rg-south", tags=self._tags(SOUTH))],
            "south/network.yaml": [self._nsg(NSG_SOUTH)],
            "south/east.yaml": [self._account(EAST, location="eastus2")],
            "south/west.yaml": [self._account(WEST, location="francecentral")],
        }
        return {name: yaml.safe_dump_all(documents, sort_keys=False) for name, documents in files.items()}

    def _tags(self, id: str) -> dict[str, str]:
        return {"team": self.knobs[id]}

    def _account(self, id: str, **spec: Any) -> Document:
        deployments = [
            _deployment(place.rpartition("/")[2], self.knobs[place])
            for place in CAPACITIES
            if place.startswith(f"{id}/")
        ]
        name = id.rpartition("/")[2]
        return account_document(
            name, customSubDomainName=name, disableLocalAuth=True, tags=self._tags(id), deployments=deployments, **spec
        )

    def _nsg(self, id: str) -> Document:
        rules = [
            rule("allow-app", 100),
            rule("allow-admin", 200, sourceAddressPrefix="10.1.9.0/24"),
            rule("deny-rest", 4096, "Deny", sourceAddressPrefix="*", destinationPortRange="*"),
        ]
        return network_document("NetworkSecurityGroup", "nsg", securityRules=rules, tags=self._tags(id))

    def _vnet(self) -> Document:
        subnets = [
            {
                "name": "app",
                "addressPrefix": "10.1.1.0/24",
                "networkSecurityGroup": "nsg",
                "serviceEndpoints": ["Microsoft.CognitiveServices"],
            },
            {"name": "pe", "addressPrefix": "10.1.2.0/24", "privateEndpointNetworkPolicies": "Disabled"},
            {"name": "jobs", "addressPrefix": "10.1.4.0/23", "delegations": ["Microsoft.App/environments"]},
        ]
        space, names = {"addressPrefixes": ["10.1.0.0/16"]}, {"dnsServers": ["10.1.0.4"]}
        return network_document(
            "VirtualNetwork", "vnet", addressSpace=space, dhcpOptions=names, subnets=subnets, tags=self._tags(VNET)
        )

    def _zone(self) -> Document:
        links = [{"name": "link", "virtualNetwork": "vnet", "registrationEnabled": False}]
        return network_document("PrivateDnsZone", ZONE, virtualNetworkLinks=links, tags=self._tags(PRIVATE_ZONE))

    def _endpoint(self) -> Document:
        return network_document(
            "PrivateEndpoint",
            "pe-back",
            account="soak-back",
            subnet="vnet/pe",
            privateDnsZones=[ZONE],
            tags=self._tags(ENDPOINT),
        )


def _fleet(name: str) -> Document:
    spec = {
        "subscription": "${AZURE_SUBSCRIPTION_ID}",
        "tenant": "${AZURE_TENANT_ID}",
        "credential": {
            "type": "clientSecret",
            "clientId": "${AZURE_CLIENT_ID}",
            "secretVariable": "AZURE_CLIENT_SECRET",
        },
        "resourceGroup": f"rg-{name}",
        "location": "swedencentral",
        "allow": ["capacityCut"],
        "softDeleted": "restore",
    }
    return {"apiVersion": "reconciler/v1", "kind": "Fleet", "metadata": {"name": name}, "spec": spec}


def _deployment(name: str, capacity: int) -> Document:
    mini = {"name": "gpt-4o-mini", "version": "2024-07-18"}
    made = deployment(name, capacity, versionUpgradeOption="NoAutoUpgrade")
    return {**made, "model": mini} if name == "mini" else made


FILES: Final = {
    "north/network.yaml": (NSG, VNET, PRIVATE_ZONE, ENDPOINT),
    "north/front.yaml": (FRONT,),
    "north/back.yaml": (BACK,),
    "south/network.yaml": (NSG_SOUTH,),
    "south/east.yaml": (EAST,),
    "south/west.yaml": (WEST,),
}


@dataclass(frozen=True, kw_only=True)
class Edit:
    """What somebody does in the portal to `id`, which makes `about` drift: a change of it, or of what lies in it.
    `takes` is what is gone with it, and is told as a part of it; of `disturbs` more may be told: a connection is gone,
    and waits for its approval when it comes back."""

    about: str
    id: str
    body: Document | None = None
    method: str = "PATCH"
    takes: tuple[str, ...] = ()
    disturbs: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.method} {self.id.rpartition('/')[2]} {json.dumps(self.body)}"

    @property
    def touches(self) -> tuple[str, ...]:
        return (self.about, *self.takes, *self.disturbs)

    @property
    def by_hand(self) -> bool:
        """Whether the same hand can take it back."""
        return self.method == "PATCH" and self.about != CONNECTION


def edits_of(wish: Wish) -> tuple[Edit, ...]:
    """All that can be done to a fleet that is as `wish` says."""
    return (*_on_accounts(), *_on_deployments(wish), *_on_guards(), *_on_networks(), *_on_names(), *_on_tags())


def _properties(**values: object) -> Document:
    return {"properties": values}


def _on_accounts() -> Iterator[Edit]:
    for id in (BACK, EAST, WEST):
        yield Edit(about=id, id=id, body=_properties(publicNetworkAccess="Enabled"))
    for id in (FRONT, BACK, EAST, WEST):
        yield Edit(about=id, id=id, body=_properties(disableLocalAuth=False))
    yield Edit(about=FRONT, id=FRONT, body=_properties(networkAcls={"defaultAction": "Allow"}))
    addresses = [{"value": "203.0.113.0/24"}, {"value": "198.51.100.7"}]
    yield Edit(about=FRONT, id=FRONT, body=_properties(networkAcls={"ipRules": addresses}))
    yield Edit(about=FRONT, id=FRONT, body=_properties(networkAcls={"virtualNetworkRules": []}))
    for id in (EAST, WEST):
        yield Edit(about=id, id=id, method="DELETE", takes=tuple(each for each in CAPACITIES if each.startswith(id)))
    rejected = {"status": "Rejected", "description": "no"}
    yield Edit(about=CONNECTION, id=CONNECTION, body=_properties(privateLinkServiceConnectionState=rejected))


def _on_deployments(wish: Wish) -> Iterator[Edit]:
    for id in CAPACITIES:
        for capacity in (wish.knobs[id] - 7, wish.knobs[id] + 11):
            yield Edit(about=id, id=id, body={"sku": {"name": "GlobalStandard", "capacity": capacity}})
        yield Edit(about=id, id=id, body=_properties(versionUpgradeOption="OnceCurrentVersionExpired"))
        yield Edit(about=id, id=id, method="DELETE")


def _on_guards() -> Iterator[Edit]:
    for id in (NSG, NSG_SOUTH):
        theirs = {**rule("portal", 300, sourceAddressPrefix="*"), "sourcePortRange": "*"}
        yield Edit(about=id, id=f"{id}/securityRules/portal", method="PUT", body={"properties": theirs})
        yield Edit(about=id, id=f"{id}/securityRules/allow-admin", method="DELETE")
        for name, values in (
            ("deny-rest", {"access": "Allow"}),
            ("allow-app", {"priority": 150}),
            ("allow-app", {"sourceAddressPrefix": "Internet"}),
        ):
            yield Edit(about=id, id=f"{id}/securityRules/{name}", body={"properties": values})


def _on_networks() -> Iterator[Edit]:
    app, jobs = f"{VNET}/subnets/app", f"{VNET}/subnets/jobs"
    yield Edit(about=app, id=app, body=_properties(networkSecurityGroup=None))
    yield Edit(about=app, id=app, body=_properties(serviceEndpoints=[]))
    yield Edit(about=jobs, id=jobs, body=_properties(delegations=[]))
    yield Edit(about=jobs, id=jobs, method="DELETE")
    yield Edit(about=VNET, id=VNET, body=_properties(dhcpOptions={"dnsServers": ["198.51.100.9"]}))
    spaces = {"addressPrefixes": ["10.1.0.0/16", "10.7.0.0/16"]}
    yield Edit(about=VNET, id=VNET, body=_properties(addressSpace=spaces))


def _on_names() -> Iterator[Edit]:
    yield Edit(about=LINK, id=LINK, body=_properties(registrationEnabled=True))
    yield Edit(about=LINK, id=LINK, method="DELETE")
    yield Edit(about=ZONE_GROUP, id=ZONE_GROUP, body=_properties(privateDnsZoneConfigs=[]))
    yield Edit(about=ZONE_GROUP, id=ZONE_GROUP, method="DELETE")
    yield Edit(about=ENDPOINT, id=ENDPOINT, method="DELETE", takes=(ZONE_GROUP,), disturbs=(CONNECTION, BACK))


def _on_tags() -> Iterator[Edit]:
    for id in TAGGED:
        yield Edit(about=id, id=id, body={"tags": {"team": "mallory"}})


@dataclass(kw_only=True)
class Episode:
    """Edits of one resource that belong together, from the first of them. People hear of it at least `fewest` and at
    most `most` times that it began, and as often that it is over."""

    about: str
    began: float
    what: str
    fewest: int = 1
    most: int = 1
    why: str = "left alone"


@dataclass(frozen=True, kw_only=True)
class Span:
    began: float
    ended: float

    def holds(self, at: float) -> bool:
        return self.began <= at < self.ended


@dataclass(kw_only=True)
class Trouble:
    """When what does not work. `refused` and `failing` are outages of Azure, `nameless` of its token endpoint."""

    refused: list[Span] = field(default_factory=list)
    failing: list[Span] = field(default_factory=list)
    nameless: list[Span] = field(default_factory=list)
    throttled: list[Span] = field(default_factory=list)
    unled: list[Span] = field(default_factory=list)
    unheard: list[Span] = field(default_factory=list)
    broken: dict[str, list[Span]] = field(default_factory=dict)

    @property
    def outages(self) -> list[Span]:
        return [*self.refused, *self.failing]

    def over(self, at: float, about: str) -> float:
        """When nothing stands any more between the daemon and a resource that was edited then."""
        mine = [span for name, spans in self.broken.items() if _in_file(about, name) for span in spans]
        spans = sorted(
            [*self.outages, *self.nameless, *self.throttled, *self.unled, *mine], key=lambda span: span.began
        )
        for span in spans:
            if span.began - SETTLES <= at < span.ended:
                at = span.ended
        return at


def _in_file(about: str, name: str) -> bool:
    return any(about == id or about.startswith(f"{id}/") for id in FILES[name])


Act = tuple[float, int, str, Any]


@dataclass(kw_only=True)
class Script:
    """All that happens: acts in their order, each with its time, and the book of what must be told of it."""

    acts: list[Act]
    book: list[Episode]
    trouble: Trouble
    changes: Mapping[str, list[float]]
    fights: list[str]

    def tell(self) -> str:
        reasons: dict[str, int] = {}
        for each in self.book:
            reasons[each.why] = reasons.get(each.why, 0) + 1
        return f"{len(self.acts)} acts, {reasons}"


class Author:
    """Writes a script of so many `days` with so many `edits`, all out of one seed."""

    def __init__(self, seed: int, days: int, edits: int) -> None:
        self._chance = random.Random(seed)
        self._days = days
        self._edits = edits
        self._end = days * DAY - 2 * HOUR
        self._acts: list[Act] = []
        self._free: dict[str, float] = {}
        self._changes: dict[str, list[float]] = {}
        self._trouble = Trouble()
        self._book: list[Episode] = []
        self._fights: list[str] = []
        self._wish = Wish()
        self._declared: deque[Act] = deque()

    def write(self) -> Script:
        self._plan_trouble()
        self._plan_documents()
        self._plan_fights()
        self._plan_edits()
        self._acts.sort(key=lambda act: act[:2])
        return Script(
            acts=self._acts,
            book=sorted(self._book, key=lambda each: each.began),
            trouble=self._trouble,
            changes=self._changes,
            fights=self._fights,
        )

    def _do(self, at: float, name: str, what: Any = None) -> None:
        self._acts.append((at, len(self._acts), name, what))

    def _span(self, name: str, spans: list[Span], began: float, seconds: float, what: Any = None) -> None:
        span = Span(began=began, ended=began + seconds)
        spans.append(span)
        self._do(span.began, name, (True, what))
        self._do(span.ended, name, (False, what))

    def _plan_trouble(self) -> None:
        """By the day, and what is rare at its own time: two outages of an hour, and an hour without tokens."""
        chance, trouble = self._chance, self._trouble
        first, second = (0, 0) if self._days == 1 else (1, 4)
        self._span("refused", trouble.refused, first * DAY + 9.5 * HOUR, HOUR)
        self._span("failing", trouble.failing, second * DAY + 15.2 * HOUR, HOUR)
        self._span("nameless", trouble.nameless, (self._days // 2) * DAY + 12 * HOUR, HOUR)
        self._span("unheard", trouble.unheard, (self._days // 2) * DAY + 4 * HOUR, 2 * HOUR)
        # Whoever has a token has it for an hour; a new process has none.
        self._do(trouble.nameless[0].began + MINUTE, "restart", False)
        for day in range(self._days):
            for hour in (2.2, 13.4):
                pause = chance.choice((20, 60, 150))
                at = day * DAY + hour * HOUR + chance.uniform(0, HOUR)
                self._span("throttled", trouble.throttled, at, chance.uniform(3, 9) * MINUTE, pause)
            at = day * DAY + 7 * HOUR + chance.uniform(0, HOUR)
            self._span("unled", trouble.unled, at, chance.uniform(0.5, 12) * MINUTE)
            self._do((day + 1) * DAY - QUIET / 4, "sample")
            # The last process lives for days, so that what it never lets go of would be seen.
            for _ in range(4 if day < max(1, self._days - 3) else 0):
                self._do(day * DAY + chance.uniform(0, 12 * HOUR), "restart", chance.random() < 0.5)

    def _plan_documents(self) -> None:
        """Every hour something else is declared; now and then a file is broken for a while."""
        chance, wish = self._chance, Wish()
        hours = int(self._end / HOUR)
        for hour in range(1, hours):
            if hour % 24 == 23:
                continue
            at = hour * HOUR + chance.uniform(0, 50) * MINUTE
            for id in chance.sample(sorted(wish.knobs), 2):
                before = wish.knobs[id]
                values = (before - 5, before + 5) if id in CAPACITIES else ("soak", "rinse", "dry")
                wish.knobs[id] = chance.choice([each for each in values if each not in (before, 0, 5, 10)])
                self._changes.setdefault(id, []).append(at)
                self._do(at, "declare", (id, wish.knobs[id]))
            if hour % 9 == 5:
                name = chance.choice(sorted(FILES))
                spans, length = self._trouble.broken.setdefault(name, []), chance.uniform(12, 25) * MINUTE
                self._span("broken", spans, at + 2 * MINUTE, length, name)

    def _plan_fights(self) -> None:
        """Somebody who undoes us each time, and is left alone after that."""
        for day in range(0, max(1, self._days - 2), 3):
            at, id = day * DAY + 5.1 * HOUR, (EAST, WEST)[day % 2]
            edit = Edit(about=id, id=id, body=_properties(publicNetworkAccess="Enabled"))
            self._do(at, "fight", edit)
            self._book.append(Episode(about=id, began=at, what=str(edit), most=5, why="a fight"))
            self._fights.append(id)
            for each in (id, *(place for place in CAPACITIES if place.startswith(id))):
                self._free[each] = at + YIELDS

    def _plan_edits(self) -> None:
        chance = self._chance
        kinds = len(edits_of(Wish()))
        self._declared = deque(sorted(act for act in self._acts if act[2] == "declare"))
        times = sorted(chance.uniform(HOUR, self._end - HOUR) for _ in range(self._edits))
        # In an outage, some that nobody but their author ever sees.
        for span in self._trouble.outages:
            times += [chance.uniform(span.began + MINUTE, span.ended - 20 * MINUTE) for _ in range(4)]
        for at in sorted(times):
            if at % DAY > DAY - QUIET:
                continue
            order = [*range(kinds)]
            chance.shuffle(order)
            wish = self._wish_at(at)
            edit = next((each for each in map(edits_of(wish).__getitem__, order) if self._is_free(each, at)), None)
            if edit is not None:
                self._plan_edit(edit, at, wish)

    def _wish_at(self, at: float) -> Wish:
        """What is declared then. Edits are planned one after the other, and after what is declared."""
        while self._declared and self._declared[0][0] <= at:
            id, value = self._declared.popleft()[3]
            self._wish.knobs[id] = value
        return self._wish

    def _is_free(self, edit: Edit, at: float) -> bool:
        return all(self._free.get(id, 0.0) <= at for id in edit.touches)

    def _plan_edit(self, edit: Edit, at: float, wish: Wish) -> None:
        chance, trouble = self._chance, self._trouble
        over = max(trouble.over(at, id) for id in edit.touches)
        episode = Episode(about=edit.about, began=at, what=str(edit))
        last = at
        self._do(at, "edit", edit)
        outage = next((span for span in trouble.outages if span.holds(at)), None)
        draw = chance.random()
        if outage and edit.by_hand and at < outage.ended - 15 * MINUTE and draw < 0.6:
            last = chance.uniform(at + MINUTE, outage.ended - 10 * MINUTE)
            self._do(last, "undo", edit)
            episode.fewest, episode.most, episode.why = 0, 0, "put right in an outage"
        elif edit.by_hand and draw < 0.05:
            last = at + chance.uniform(1, 50)
            self._do(last, "undo", edit)
            episode.fewest, episode.why = 0, "put right at once"
        elif draw < 0.12:
            # Somebody goes on where the first one has begun, perhaps while it is being put right.
            another = [each for each in edits_of(wish) if each.about == edit.about and each.method == "PATCH"]
            if another and edit.method != "DELETE":
                last = at + chance.uniform(1, 90)
                self._do(last, "edit", chance.choice(another))
                episode.most, episode.why = 2, "edited twice"
        if any(self._is_clouded(id, at, over + SETTLES) for id in edit.touches):
            episode.fewest, episode.why = 0, f"{episode.why}, and its document changes"
        self._book.append(episode)
        # What is gone with something of which nobody hears is told for itself.
        beside = replace(episode, fewest=0, most=1 - episode.fewest, why="gone with it")
        self._book += [replace(beside, about=id) for id in edit.takes]
        self._book += [replace(beside, about=id, most=1, why="disturbed") for id in edit.disturbs]
        for id in edit.touches:
            self._free[id] = max(over, last) + REST

    def _is_clouded(self, id: str, began: float, ended: float) -> bool:
        """Whether something else is declared meanwhile, or what was declared before is not there yet."""
        times = self._changes.get(id, [])
        return any(at <= ended and self._trouble.over(at, id) + SETTLES >= began for at in times)
