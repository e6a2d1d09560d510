"""Whole fleets out of a hat, and the same fleets after a few edits: few addresses, few ports, so that rules collide.

Everything a document says here Azure takes. Chance is seeded, so that a number names a chain of fleets for ever.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network
from random import Random

from tests.laws.stage import Document, account_document, fleet_document, group_document, network_document
from tests.support.reaching import TRUSTED, Caller

SPACE = "10.1.0.0/16"
PREFIXES = {"app": "10.1.1.0/24", "backend": "10.1.2.0/24", "endpoints": "10.1.3.0/24"}
# Where a subnet that nothing lies in may move to.
ELSEWHERE = {"app": "10.1.5.0/24", "backend": "10.1.6.0/24"}
PUBLIC = ("203.0.113.0/24", "203.0.113.0/28", "198.51.100.7")
BEHIND = "192.168.7.0/24"
SOURCES = ("*", "VirtualNetwork", "Internet", "10.1.1.0/24", "10.1.1.0/25", "10.1.2.0/24", BEHIND, "203.0.113.0/24")
DESTINATIONS = ("*", "VirtualNetwork", "10.1.3.0/24", "10.1.3.9", "10.1.2.0/24", "Internet", "10.1.1.0/24")
PORTS = ("443", "80", "22", "*", "80-443")
PROBED_PORTS = (443, 80, 22)
# Mostly those under which a group guards endpoints.
POLICIES = ("Disabled", "RouteTableEnabled", "Enabled", "Enabled", "NetworkSecurityGroupEnabled")
PRIORITIES = (100, 110, 120, 130, 4000)
GROUPS = ("nsg-a", "nsg-b")
ACCOUNTS = ("aoai-a", "aoai-b")
ENDPOINTS = ("pe-1", "pe-2")
KINDS = (
    "accounts",
    "networkSecurityGroups",
    "virtualNetworks",
    "subnets",
    "privateEndpoints",
)
FREE = {
    "allow": ["replace", "delete", "purge"],
    "prune": dict.fromkeys(KINDS, True),
    "allowEmpty": True,
    "softDeleted": "purge",
}

Edit = Callable[[Random, Document], None]


# -- one fleet: a sketch, which edits change and `documents` spells out


def draw_fleet(chance: Random) -> Document:
    """A sketch of a fleet: `groups`, `subnets`, `accounts`, `endpoints`, by name."""
    sketch: Document = {
        "groups": {name: draw_rules(chance) for name in GROUPS[: chance.choice((1, 2, 2))]},
        "subnets": {},
        "accounts": {},
        "endpoints": {},
    }
    for name in ("app", "backend", "endpoints"):
        if name != "backend" or chance.random() < 0.8:
            sketch["subnets"][name] = draw_subnet(chance, name, [*sketch["groups"]])
    for name in ACCOUNTS[: chance.choice((1, 1, 2))]:
        sketch["accounts"][name] = draw_account(chance, sketch)
    for name in ENDPOINTS[: chance.choice((0, 1, 1, 2))]:
        sketch["endpoints"][name] = draw_endpoint(chance, sketch, name)
    return mend(sketch)


def draw_rules(chance: Random) -> Document:
    """Rules by name; in each direction no priority twice."""
    rules: Document = {}
    for number in range(chance.choice((0, 1, 2, 3, 4, 6))):
        rules[f"r{number}"] = draw_rule(chance)
    return rules


def draw_rule(chance: Random) -> Document:
    inbound = chance.random() < 0.65
    drawn: Document = {
        "direction": "Inbound" if inbound else "Outbound",
        "access": chance.choice(("Allow", "Deny")),
        "priority": chance.choice(PRIORITIES),
        "protocol": chance.choice(("Tcp", "Tcp", "Any", "Udp")),
    }
    for side, offer in (("source", SOURCES), ("destination", DESTINATIONS)):
        if chance.random() < 0.2:
            several = [each for each in offer if each[0].isdigit()]
            drawn[f"{side}AddressPrefixes"] = chance.sample(several, 2)
        else:
            drawn[f"{side}AddressPrefix"] = _said(chance.choice(offer))
    if chance.random() < 0.2:
        drawn["destinationPortRanges"] = chance.sample(["443", "80", "22"], 2)
    else:
        drawn["destinationPortRange"] = _said(chance.choice(PORTS))
    return drawn


def _said(word: str) -> str:
    return "Any" if word == "*" else word


def draw_subnet(chance: Random, name: str, groups: list[str]) -> Document:
    return {
        "prefix": PREFIXES[name],
        "group": chance.choice([None, *groups, *groups]),
        "serves": chance.random() < 0.5,
        "policies": chance.choice(POLICIES),
    }


def draw_account(chance: Random, sketch: Document) -> Document:
    return {
        "public": chance.random() < 0.6,
        "allows": chance.random() < 0.25,
        "addresses": chance.sample(PUBLIC, chance.choice((0, 1, 1, 2))),
        "subnets": chance.sample([*sketch["subnets"]], chance.choice((0, 1, 1, 2))),
        "bypass": chance.choice(("None", "AzureServices")),
        "judged": draw_judgements(chance),
    }


def draw_judgements(chance: Random) -> Document:
    return {name: chance.choice(("Approved", "Rejected")) for name in ENDPOINTS if chance.random() < 0.3}


def draw_endpoint(chance: Random, sketch: Document, name: str) -> Document:
    return {
        "account": chance.choice([*sketch["accounts"]] or [""]),
        "subnet": chance.choice([each for each in ("endpoints", "endpoints", "backend") if each in sketch["subnets"]]),
        "manual": chance.random() < 0.2,
        "fixed": name == ENDPOINTS[0] and chance.random() < 0.4,
    }


def mend(sketch: Document) -> Document:
    """Take out what the edits have left that Azure would refuse."""
    for rules in sketch["groups"].values():
        _spread(rules)
    for subnet in sketch["subnets"].values():
        if subnet["group"] not in sketch["groups"]:
            subnet["group"] = None
    for name, endpoint in [*sketch["endpoints"].items()]:
        if endpoint["account"] not in sketch["accounts"] or endpoint["subnet"] not in sketch["subnets"]:
            del sketch["endpoints"][name]
        elif sketch["accounts"][endpoint["account"]]["judged"].get(name) == "Rejected":
            # Azure approves an automatic connection before anybody can reject it.
            endpoint["manual"] = True
    for endpoint in sketch["endpoints"].values():
        # A subnet that somebody is in stays where it is.
        sketch["subnets"][endpoint["subnet"]]["prefix"] = PREFIXES[endpoint["subnet"]]
    for account in sketch["accounts"].values():
        account["subnets"] = [each for each in account["subnets"] if each in sketch["subnets"]]
    return sketch


def _spread(rules: Document) -> None:
    """In each direction every priority once; a rule for which none is left goes."""
    taken: set[tuple[str, int]] = set()
    for name, rule in [*rules.items()]:
        free = [each for each in PRIORITIES if (rule["direction"], each) not in taken]
        if not free:
            del rules[name]
            continue
        if rule["priority"] not in free:
            rule["priority"] = free[0]
        taken.add((rule["direction"], rule["priority"]))


# -- edits


def edit(chance: Random, before: Document, edits: int) -> Document:
    after = copy.deepcopy(before)
    for _ in range(edits):
        chance.choice(EDITS)(chance, after)
        mend(after)
    return after


def _edit_rule(chance: Random, sketch: Document) -> None:
    for rules in _some_rules(chance, sketch):
        name = chance.choice([*rules])
        fresh = draw_rule(chance)
        part = chance.choice(
            ("access", "priority", "source", "destination", "destinationPort", "direction", "protocol")
        )
        kept = {key: value for key, value in rules[name].items() if not key.startswith(part)}
        rules[name] = kept | {key: value for key, value in fresh.items() if key.startswith(part)}
        if part == "destination":
            _drop_doubles(rules[name])


def _drop_doubles(rule: Document) -> None:
    """A fresh destination brings its ports along; none may be said twice."""
    if "destinationPortRanges" in rule:
        rule.pop("destinationPortRange", None)


def _swap_rules(chance: Random, sketch: Document) -> None:
    for rules in _some_rules(chance, sketch):
        one, other = chance.choice([*rules]), chance.choice([*rules])
        part = chance.choice(("priority", "access"))
        rules[one][part], rules[other][part] = rules[other][part], rules[one][part]


def _drop_rule(chance: Random, sketch: Document) -> None:
    for rules in _some_rules(chance, sketch):
        del rules[chance.choice([*rules])]


def _add_rule(chance: Random, sketch: Document) -> None:
    if sketch["groups"]:
        rules = sketch["groups"][chance.choice([*sketch["groups"]])]
        rules[chance.choice([f"r{number}" for number in range(6)])] = draw_rule(chance)


def _other_rules(chance: Random, sketch: Document) -> None:
    if sketch["groups"]:
        sketch["groups"][chance.choice([*sketch["groups"]])] = draw_rules(chance)


def _swap_groups(_chance: Random, sketch: Document) -> None:
    if {*GROUPS} <= {*sketch["groups"]}:
        groups = sketch["groups"]
        groups[GROUPS[0]], groups[GROUPS[1]] = groups[GROUPS[1]], groups[GROUPS[0]]


def _some_rules(chance: Random, sketch: Document) -> Iterator[Document]:
    filled = [rules for rules in sketch["groups"].values() if rules]
    if filled:
        yield chance.choice(filled)


def _toggle_group(chance: Random, sketch: Document) -> None:
    name = chance.choice(GROUPS)
    if name in sketch["groups"]:
        del sketch["groups"][name]
    else:
        sketch["groups"][name] = draw_rules(chance)


def _edit_subnet(chance: Random, sketch: Document) -> None:
    name = chance.choice([*sketch["subnets"]])
    part = chance.choice(("group", "group", "serves", "policies"))
    sketch["subnets"][name][part] = draw_subnet(chance, name, [*sketch["groups"]])[part]


def _swap_associations(_chance: Random, sketch: Document) -> None:
    one, other = sketch["subnets"]["app"], sketch["subnets"]["endpoints"]
    one["group"], other["group"] = other["group"], one["group"]


def _hand_over(chance: Random, sketch: Document) -> None:
    """A subnet goes to the other group, which says what the old one said; the old one says something else."""
    held = [each for each in sketch["subnets"].values() if each["group"]]
    if held:
        subnet = chance.choice(held)
        old = subnet["group"]
        new = next(each for each in GROUPS if each != old)
        subnet["group"] = new
        sketch["groups"][new] = copy.deepcopy(sketch["groups"][old])
        sketch["groups"][old] = draw_rules(chance)


def _move_subnet(chance: Random, sketch: Document) -> None:
    name = chance.choice([*ELSEWHERE])
    if name in sketch["subnets"]:
        subnet = sketch["subnets"][name]
        subnet["prefix"] = ELSEWHERE[name] if subnet["prefix"] == PREFIXES[name] else PREFIXES[name]


def _toggle_subnet(chance: Random, sketch: Document) -> None:
    if "backend" in sketch["subnets"]:
        del sketch["subnets"]["backend"]
    else:
        sketch["subnets"]["backend"] = draw_subnet(chance, "backend", [*sketch["groups"]])


def _edit_account(chance: Random, sketch: Document) -> None:
    if sketch["accounts"]:
        name = chance.choice([*sketch["accounts"]])
        part = chance.choice(("public", "allows", "addresses", "subnets", "bypass", "judged"))
        sketch["accounts"][name][part] = draw_account(chance, sketch)[part]


def _toggle_account(chance: Random, sketch: Document) -> None:
    name = chance.choice(ACCOUNTS)
    if name in sketch["accounts"]:
        del sketch["accounts"][name]
    else:
        sketch["accounts"][name] = draw_account(chance, sketch)


def _toggle_endpoint(chance: Random, sketch: Document) -> None:
    name = chance.choice(ENDPOINTS)
    if name in sketch["endpoints"]:
        del sketch["endpoints"][name]
    elif sketch["accounts"]:
        sketch["endpoints"][name] = draw_endpoint(chance, sketch, name)


def _edit_endpoint(chance: Random, sketch: Document) -> None:
    if sketch["endpoints"]:
        name = chance.choice([*sketch["endpoints"]])
        part = chance.choice(("account", "subnet", "subnet", "manual", "fixed"))
        sketch["endpoints"][name][part] = draw_endpoint(chance, sketch, name)[part]


EDITS: tuple[Edit, ...] = (
    _edit_rule,
    _edit_rule,
    _edit_rule,
    _swap_rules,
    _drop_rule,
    _add_rule,
    _other_rules,
    _swap_groups,
    _toggle_group,
    _edit_subnet,
    _edit_subnet,
    _edit_subnet,
    _swap_associations,
    _hand_over,
    _hand_over,
    _move_subnet,
    _toggle_subnet,
    _edit_account,
    _edit_account,
    _edit_account,
    _toggle_account,
    _toggle_endpoint,
    _toggle_endpoint,
    _edit_endpoint,
    _edit_endpoint,
)


# -- spelled out


def documents(sketch: Document, **fleet: object) -> list[Document]:
    return [
        fleet_document("law", **{**FREE, **fleet}),
        group_document(),
        *(
            network_document("NetworkSecurityGroup", name, securityRules=_rules(rules))
            for name, rules in sketch["groups"].items()
        ),
        network_document(
            "VirtualNetwork",
            "vnet",
            addressSpace={"addressPrefixes": [SPACE]},
            subnets=[_subnet(name, subnet) for name, subnet in sketch["subnets"].items()],
        ),
        *(_account(name, account, sketch) for name, account in sketch["accounts"].items()),
        *(_endpoint(name, endpoint) for name, endpoint in sketch["endpoints"].items()),
    ]


def _rules(rules: Document) -> list[Document]:
    return [{"name": name, **rule} for name, rule in rules.items()]


def _subnet(name: str, subnet: Document) -> Document:
    return {
        "name": name,
        "addressPrefix": subnet["prefix"],
        "networkSecurityGroup": subnet["group"],
        "serviceEndpoints": ["Microsoft.CognitiveServices"] if subnet["serves"] else [],
        "privateEndpointNetworkPolicies": subnet["policies"],
    }


def _account(name: str, account: Document, sketch: Document) -> Document:
    rules = [
        {"id": f"vnet/{each}", "ignoreMissingVnetServiceEndpoint": not sketch["subnets"][each]["serves"]}
        for each in account["subnets"]
    ]
    return account_document(
        name,
        customSubDomainName=f"{name}-law",
        publicNetworkAccess="Enabled" if account["public"] else "Disabled",
        networkAcls={
            "defaultAction": "Allow" if account["allows"] else "Deny",
            "ipRules": account["addresses"],
            "virtualNetworkRules": rules,
            "bypass": account["bypass"],
        },
        privateEndpointConnections=[
            {"match": endpoint, "status": status} for endpoint, status in account["judged"].items()
        ],
    )


def _endpoint(name: str, endpoint: Document) -> Document:
    address = "10.1.3.9" if endpoint["subnet"] == "endpoints" else "10.1.2.9"
    fixed = {"ipConfigurations": [{"privateIPAddress": address}]} if endpoint["fixed"] else {}
    return network_document(
        "PrivateEndpoint",
        name,
        subnet=f"vnet/{endpoint['subnet']}",
        account=endpoint["account"],
        approval="manual" if endpoint["manual"] else "automatic",
        **fixed,
    )


# -- who is asked about


def prefixes_of(*sketches: Document) -> list[IPv4Network]:
    """Every prefix that the sketches name."""
    found = {SPACE, *(each["prefix"] for sketch in sketches for each in sketch["subnets"].values())}
    found |= {each for sketch in sketches for account in sketch["accounts"].values() for each in account["addresses"]}
    for rule in (rule for sketch in sketches for rules in sketch["groups"].values() for rule in rules.values()):
        said = [rule.get(f"{side}AddressPrefix") for side in ("source", "destination")]
        said += [*rule.get("sourceAddressPrefixes", ()), *rule.get("destinationAddressPrefixes", ())]
        found |= {each for each in said if each and each[0].isdigit()}
    return sorted(IPv4Network(each) for each in found)


def probes(chance: Random, prefixes: list[IPv4Network]) -> list[str]:
    """One address of every class that the prefixes tell apart, always at an edge: the first or the last of some
    prefix, or its neighbour outside."""
    classes: dict[tuple[bool, ...], list[IPv4Address]] = {}
    # Somebody that no prefix names, outside and behind a peering; and each static address.
    loose = [IPv4Address(each) for each in ("8.8.8.8", "172.16.0.1", "10.1.3.9")]
    for address in [*(edge for prefix in prefixes for edge in _edges(prefix)), *loose]:
        signature = (address.is_private, *(address in prefix for prefix in prefixes))
        classes.setdefault(signature, []).append(address)
    return [str(chance.choice(members)) for members in classes.values()]


def _edges(network: IPv4Network) -> Iterator[IPv4Address]:
    first, last = network.network_address, network.broadcast_address
    yield from (first - 1, first, last, last + 1)


def callers(addresses: list[str], home: str, *sketches: Document) -> list[Caller]:
    """Everybody who is asked about: of the addresses in the network, the workloads of each subnet that ever holds them;
    `home` is the folded id of the network."""
    space = IPv4Network(SPACE)
    ranges = {(name, each["prefix"]) for sketch in sketches for name, each in sketch["subnets"].items()}
    found = [TRUSTED, Caller(tag="Storage.WestEurope")]
    for text in addresses:
        if IPv4Address(text) not in space:
            found.append(Caller(text))
        homes = [name for name, prefix in sorted(ranges) if IPv4Address(text) in IPv4Network(prefix)]
        found += [Caller(text, f"{home}/subnets/{name}") for name in homes]
    return found
