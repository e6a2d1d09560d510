"""NetworkSecurityGroup: who may talk to whom in the subnets that name it.

The whole group is one write made from a fresh read, so rules change places without ever meeting. Which rules there are
is ours as well (`rules: exclusive`), or only what the named ones say (`rules: shared`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field as Described

from reconciler.kinds.addresses import ANY, fold_port, fold_prefix, guess_tag, is_private, is_tag, may_meet
from reconciler.kinds.base import (
    Binding,
    Document,
    Expansion,
    Field,
    Hold,
    Kind,
    Patience,
    ResourceType,
    Setting,
    Shape,
    compose,
    declare,
    describe,
    item_names,
    once,
)
from reconciler.kinds.common import (
    HomeGroup,
    HomeRegion,
    OwnTags,
    Unknowns,
    check_home,
    check_name,
    check_repeats,
    home_of,
    is_nowhere,
    owned_tags,
    resolve_location,
    want,
)
from reconciler.kinds.rules import ADDRESSES, GROUPS, PORTS, RULES, find_shadowed, read_rule
from reconciler.kinds.scalars import (
    SECURITY_GROUP_TYPE,
    ApplicationGroupId,
    PortRange,
    RulePrefix,
)
from reconciler.kinds.spec import Flag, Spec, Text, Whole
from reconciler.kinds.values import as_said, location
from reconciler.model.finding import Finding, Origin, Severity
from reconciler.model.ids import ArmId
from reconciler.model.plan import DecisionState, FieldChange
from reconciler.model.resource import Desired, Live
from reconciler.model.wire import Json, JsonObject, read_path

_RULES = Field(
    path="securityRules",
    wire=("properties", "securityRules"),
    shape=Shape.KEYED,
    keys=("name",),
    items=RULES,
    default=[],
)


def _refuse_clash(changes: tuple[FieldChange, ...], wire: JsonObject) -> Hold | None:
    """Azure takes no two rules of one priority and direction; which of them has to move, people must say."""
    body = compose(TYPE, {change.path: change.after for change in changes}, wire)
    listed = read_path(body, _RULES.wire)
    taken: dict[tuple[Json, Json], str] = {}
    clash: tuple[str, str, JsonObject] | None = None
    for item in listed if isinstance(listed, list) else []:
        if isinstance(item, dict):
            rule, name = read_rule(item), str(item.get("name"))
            other = taken.setdefault((rule["direction"], rule["priority"]), name)
            clash = clash or ((other, name, rule) if other != name else None)
    if clash is None:
        return None
    other, name, rule = clash
    if not any(change.path.startswith(f"{_RULES.path}[{name}].") for change in changes):
        other, name = name, other
    direction, wanted = rule["direction"], rule["priority"]
    free = find_free({number for way, number in taken if way == direction}, wanted)
    return Hold(
        state=DecisionState.BLOCKED,
        code="priority_taken",
        reason=f"securityRules[{name}].priority {wanted} is taken by {other}, also {direction}, a rule that is not "
        "declared here",
        permit=f"give {name} another priority, {free} is free, or declare or remove {other}",
    )


def find_free(taken: Collection[Json], wanted: Json) -> int:
    """The next free priority behind the one that is wanted, or the first of all."""
    first = wanted if isinstance(wanted, int) else _FIRST
    numbers = itertools.chain(range(first, _LAST + 1), range(_FIRST, _LAST + 1))
    return next(number for number in numbers if number not in taken)


_FIRST, _LAST = 100, 4096

TYPE = ResourceType(
    arm_type=SECURITY_GROUP_TYPE,
    word="network security group",
    binding=Binding(
        client="network",
        group="network_security_groups",
        names=("resource_group_name", "network_security_group_name"),
        get="get",
        put="begin_create_or_update",
        body="parameters",
        delete="begin_delete",
        list_all="list_all",
    ),
    fields=(
        Field(path="location", wire=("location",), normal=location, effect=once),
        _RULES,
        Field(path="flushConnection", wire=("properties", "flushConnection"), default=False),
        Field(path="tags", wire=("tags",), shape=Shape.MAP, whole=("tags",)),
    ),
    readonly=(
        ("properties", "defaultSecurityRules"),
        ("properties", "flowLogs"),
        ("properties", "networkInterfaces"),
        ("properties", "resourceGuid"),
        ("properties", "subnets"),
        ("properties", "securityRules", "*", "etag"),
        ("properties", "securityRules", "*", "id"),
        ("properties", "securityRules", "*", "type"),
        ("properties", "securityRules", "*", "properties", "provisioningState"),
    ),
    taggable=True,
    on_demand=True,
    refuses=_refuse_clash,
    users=(("properties", "subnets", "*", "id"), ("properties", "networkInterfaces", "*", "id")),
    patience=Patience(create=900.0, update=900.0, delete=900.0, usual_create=3, usual_update=3),
)

_NAME = r"^[A-Za-z0-9]([A-Za-z0-9_.\-]{0,78}[A-Za-z0-9_])?$"
_ANY_HINT = "Any, which Azure writes as an asterisk"


class SecurityRuleSpec(Spec):
    """One rule. Each side is said by one of its keys: the singular, the plural, or application security groups."""

    name: Annotated[
        Text,
        Described(
            description="The rule's name; rules are told apart by it.",
            pattern=_NAME,
            examples=["allow-app"],
            json_schema_extra={"rule": "use up to 80 letters, digits, - _ . and begin with a letter or digit"},
        ),
    ]
    description: Annotated[Text | None, Described(max_length=140, description="Words for people.")] = None
    direction: Annotated[
        Literal["Inbound", "Outbound"], Described(description="Into the subnets of the group, or out of them.")
    ]
    access: Annotated[Literal["Allow", "Deny"], Described(description="What happens to traffic that the rule names.")]
    priority: Annotated[
        Whole,
        Described(
            ge=100, le=4096, examples=["100"], description="From 100 to 4096, unique per direction; the lowest decides."
        ),
    ]
    protocol: Annotated[
        Literal["Any", "*", "Tcp", "Udp", "Icmp", "Esp", "Ah"], Described(description=f"The protocol, or {_ANY_HINT}.")
    ]
    source_address_prefix: Annotated[
        RulePrefix | None,
        Described(
            description="An address, a network, a service tag, or Any.",
            examples=["VirtualNetwork"],
            json_schema_extra={"needed": True},
        ),
    ] = None
    source_address_prefixes: Annotated[
        list[RulePrefix] | None, Described(description="Several of what sourceAddressPrefix takes, Any excepted.")
    ] = None
    source_application_security_groups: Annotated[
        list[ApplicationGroupId] | None, Described(description="ARM ids of application security groups.")
    ] = None
    source_port_range: Annotated[PortRange | None, Described(description="A port or a range; Any when left out.")] = (
        None
    )
    source_port_ranges: Annotated[list[PortRange] | None, Described(description="Several ports and ranges.")] = None
    destination_address_prefix: Annotated[
        RulePrefix | None,
        Described(
            description="An address, a network, a service tag, or Any.",
            examples=["Any"],
            json_schema_extra={"needed": True},
        ),
    ] = None
    destination_address_prefixes: Annotated[
        list[RulePrefix] | None, Described(description="Several of what destinationAddressPrefix takes, Any excepted.")
    ] = None
    destination_application_security_groups: Annotated[
        list[ApplicationGroupId] | None, Described(description="ARM ids of application security groups.")
    ] = None
    destination_port_range: Annotated[
        PortRange | None,
        Described(description="A port, a range, or Any.", examples=["443"], json_schema_extra={"needed": True}),
    ] = None
    destination_port_ranges: Annotated[list[PortRange] | None, Described(description="Several ports and ranges.")] = (
        None
    )


class NetworkSecurityGroupSpec(Spec):
    """A network security group with its rules."""

    resource_group: HomeGroup = None
    location: HomeRegion = None
    rules: Annotated[
        Literal["exclusive", "shared"] | None,
        Described(
            description="exclusive removes rules that are not named here; shared leaves them alone. A group that is "
            "adopted has to say which; otherwise exclusive.",
        ),
    ] = None
    security_rules: Annotated[
        list[SecurityRuleSpec],
        Described(
            max_length=1000, description="The rules. Must be written, [] for none: an exposure is never a default."
        ),
    ]
    flush_connection: Annotated[
        Flag | None, Described(description="Whether a change cuts connections that it no longer allows.")
    ] = None
    tags: OwnTags = None
    additional_properties: Unknowns = None


def expand(document: Document, setting: Setting) -> Expansion:
    """The group, with all its rules in one resource."""
    spec = document.spec
    assert isinstance(spec, NetworkSecurityGroupSpec)
    region, missing = resolve_location(document, setting)
    findings = (
        *missing,
        *check_name(document, setting, _NAME, TYPE.word),
        *check_home(document, setting),
        *_check(document, spec, setting),
    )
    if is_nowhere(findings):
        return Expansion(findings=findings)
    group = home_of(document, setting)
    written: JsonObject = spec.written()
    written |= {"location": region, "tags": owned_tags(document, setting)}
    written["securityRules"] = [_complete(each) for each in spec.security_rules]
    fields = declare(TYPE, written)
    if spec.rules != "shared":
        fields["securityRules"] = item_names(_RULES, written["securityRules"])
    id = group.resource(TYPE.arm_type, setting.name_of(document.ref))
    desired = want(document, id, fields, (group,), _place_rules(document, spec, fields))
    return Expansion(desired=(desired,), findings=findings)


def _complete(rule: SecurityRuleSpec) -> JsonObject:
    """The rule with what it means where it says nothing: Azure wants a source port, people hardly ever care."""
    written: JsonObject = {name: each for name, each in rule.written().items() if each is not None}
    if rule.source_port_range is None and not rule.source_port_ranges:
        written["sourcePortRange"] = ANY
    return written


def _place_rules(
    document: Document, spec: NetworkSecurityGroupSpec, fields: Mapping[str, Json]
) -> Mapping[str, Origin]:
    """Where each attribute of each rule was written; a set stands where the first of its keys does."""
    places: dict[str, Origin] = {}
    for at, rule in enumerate(spec.security_rules):
        written = rule.written()
        prefix = f"securityRules[{rule.name}]."
        for path in (each for each in fields if each.startswith(prefix)):
            many = path[len(prefix) :]
            key = next((each for each in (many, *_singulars(many)) if each in written), "name")
            places[path] = document.place(("securityRules", at, key))
    return places


def _singulars(many: str) -> tuple[str, ...]:
    one = ADDRESSES.get(many) or PORTS.get(many)
    return (one,) if one else ()


def _check(document: Document, spec: NetworkSecurityGroupSpec, setting: Setting) -> Iterator[Finding]:
    if spec.rules is None and (document.lifecycle.adopt or setting.adopts_all):
        yield Finding(
            code="rules_unsaid",
            message=f"{document.ref} may be one that exists already, and does not say what becomes of its other rules",
            hint="add `rules: exclusive` to remove rules that are not named here, or `rules: shared` to keep them",
            origin=document.origin,
        )
    wrong = False
    for at, rule in enumerate(spec.security_rules):
        for finding in _check_rule(document, at, rule):
            wrong = wrong or finding.severity is Severity.ERROR
            yield finding
    yield from _check_names(document, spec)
    yield from _check_priorities(document, spec)
    if not wrong:
        yield from _check_effect(document, spec)


_SIDES = (
    ("sourceAddressPrefix", "sourceAddressPrefixes", "sourceApplicationSecurityGroups"),
    ("destinationAddressPrefix", "destinationAddressPrefixes", "destinationApplicationSecurityGroups"),
    ("sourcePortRange", "sourcePortRanges", ""),
    ("destinationPortRange", "destinationPortRanges", ""),
)


def _check_rule(document: Document, at: int, rule: SecurityRuleSpec) -> Iterator[Finding]:
    written = rule.written()
    for one, many, groups in _SIDES:
        said = [key for key in (one, many, groups) if key and written.get(key)]
        place = document.place(("securityRules", at, said[-1] if said else "name"))
        where = f"securityRules[{rule.name}]"
        if not said and one != "sourcePortRange":
            others = f", {many} or {groups}" if groups else f" or {many}"
            yield Finding(
                code="missing",
                message=f"{where} has no {one}",
                hint=f"add {one}{others}; `Any` says all of them",
                origin=place,
            )
        if len(said) > 1:
            yield Finding(
                code="contradiction",
                message=f"{where} says both {said[0]} and {said[1]}",
                hint="keep one of them",
                origin=place,
            )
    yield from _check_words(document, at, rule)


def _check_words(document: Document, at: int, rule: SecurityRuleSpec) -> Iterator[Finding]:
    """`Any` beside others, which Azure refuses in a list; words that are no service tag anybody knows."""
    written, told = rule.written(), read_rule(rule.written())
    for many in (*ADDRESSES, *PORTS):
        listed = told[many]
        if isinstance(listed, list) and len(listed) > 1 and ANY in listed:
            yield Finding(
                code="any_in_list",
                message=f"securityRules[{rule.name}].{many} names Any beside others",
                hint=f"write `{(ADDRESSES | PORTS)[many]}: Any` alone, or remove Any",
                origin=document.place(("securityRules", at, many)),
            )
    for many in (*ADDRESSES, *PORTS, *GROUPS):
        fold = fold_prefix if many in ADDRESSES else fold_port if many in PORTS else str
        said = [fold(str(each)) for each in written.get(many) or ()]
        yield from check_repeats(f"securityRules[{rule.name}].{many}", said, _places(document, at, many))
    for many, one in ADDRESSES.items():
        for key, words in ((one, [written.get(one)]), (many, written.get(many) or [])):
            for index, word in enumerate(words):
                guess = guess_tag(str(word)) if word else ""
                if guess:
                    yield Finding(
                        severity=Severity.WARNING,
                        code="service_tag",
                        message=f"securityRules[{rule.name}].{key}: {word} is no service tag that is known here",
                        hint=f"did you mean {guess}?",
                        origin=document.place(("securityRules", at, key, *((index,) if key == many else ()))),
                    )


def _places(document: Document, at: int, key: str) -> Callable[[int], Origin]:
    return lambda index: document.place(("securityRules", at, key, index))


def _check_names(document: Document, spec: NetworkSecurityGroupSpec) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for at, rule in enumerate(spec.security_rules):
        first = seen.setdefault(rule.name.lower(), at)
        if first != at:
            yield Finding(
                code="duplicate_name",
                message=f"securityRules names {rule.name} twice",
                hint=f"the other one is at {document.place(('securityRules', first, 'name'))}; rename or remove one",
                origin=document.place(("securityRules", at, "name")),
            )


def _check_priorities(document: Document, spec: NetworkSecurityGroupSpec) -> Iterator[Finding]:
    seen: dict[tuple[str, int], int] = {}
    for at, rule in enumerate(spec.security_rules):
        first = seen.setdefault((rule.direction, rule.priority), at)
        if first != at:
            other = spec.security_rules[first]
            yield Finding(
                code="duplicate_priority",
                message=f"securityRules[{rule.name}].priority {rule.priority} is taken by {other.name}, also "
                f"{rule.direction}",
                hint=f"the other one is at {document.place(('securityRules', first, 'priority'))}; "
                f"{_free_priority(spec, rule)} is free",
                origin=document.place(("securityRules", at, "priority")),
            )


def _free_priority(spec: NetworkSecurityGroupSpec, rule: SecurityRuleSpec) -> int:
    return find_free({each.priority for each in spec.security_rules if each.direction == rule.direction}, rule.priority)


def _check_effect(document: Document, spec: NetworkSecurityGroupSpec) -> Iterator[Finding]:
    """Rules that do not do what their author must have meant."""
    index = {rule.name: at for at, rule in enumerate(spec.security_rules)}
    told = [(rule.name, read_rule(_complete(rule))) for rule in spec.security_rules]
    for name, earlier, same in find_shadowed(told):
        idle = "adds nothing" if same else "never acts"
        yield Finding(
            severity=Severity.WARNING,
            code="shadowed",
            message=f"securityRules[{name}] {idle}: {earlier} comes first and takes all it speaks of",
            hint="remove it, or give it a lower priority number",
            origin=document.place(("securityRules", index[name], "priority")),
        )
    for name, rule in told:
        outward = _outward(rule)
        if outward:
            yield Finding(
                severity=Severity.WARNING,
                code="no_effect",
                message=f"securityRules[{name}] is Inbound, but {outward} is in no subnet: nothing comes in to it",
                hint="name addresses of the subnet, VirtualNetwork or Any; an account's public endpoint is guarded by "
                "its networkAcls, not by a security group",
                origin=document.place(("securityRules", index[name], "direction")),
            )
    yield from _check_open_inside(document, spec, told)


def _outward(rule: JsonObject) -> str:
    """The first destination of an inbound rule that no subnet can have, "" where there is one that it can."""
    listed = rule["destinationAddressPrefixes"]
    words = [str(each) for each in listed] if isinstance(listed, list) else []
    outside = [word for word in words if is_tag(word) and word not in ("VirtualNetwork", "AzureLoadBalancer")]
    return outside[0] if rule["direction"] == "Inbound" and words and len(outside) == len(words) else ""


def _check_open_inside(
    document: Document, spec: NetworkSecurityGroupSpec, told: list[tuple[str, JsonObject]]
) -> Iterator[Finding]:
    """Azure lets a whole virtual network in by itself; to allow some of it means nothing until the rest is denied."""
    if spec.rules == "shared" or any(rule["direction"] == "Inbound" and rule["access"] == "Deny" for _, rule in told):
        return
    for at, (name, rule) in enumerate(told):
        sources = rule["sourceAddressPrefixes"]
        words = [str(each) for each in sources] if isinstance(sources, list) else []
        inner = bool(words) and all(is_private(word) and word != "VirtualNetwork" for word in words)
        if rule["direction"] == "Inbound" and inner:
            yield Finding(
                severity=Severity.WARNING,
                code="no_effect",
                message=f"securityRules[{name}] lets in nothing new: Azure's own AllowVnetInBound lets the whole "
                "virtual network in",
                hint="add a rule that denies Inbound from VirtualNetwork at a higher priority number",
                origin=document.place(("securityRules", at, "name")),
            )
            return


def relate(own: tuple[Desired, ...], fleet: Mapping[ArmId, Desired]) -> tuple[Finding, ...]:
    """Rules about addresses that none of the subnets of the group has, where those are declared."""
    group = own[0]
    guarded = [each for each in fleet.values() if each.fields.get("networkSecurityGroup") == group.id.key]
    spaces = sorted({prefix for each in guarded for prefix in _texts(each.fields.get("addressPrefixes"))})
    return tuple(_relate_ends(group, spaces)) if spaces else ()


def _relate_ends(group: Desired, spaces: list[str]) -> Iterator[Finding]:
    for path in sorted(group.fields):
        if not path.endswith("].direction"):
            continue
        rule = path.removesuffix(".direction")
        side = "destinationAddressPrefixes" if group.fields[path] == "Inbound" else "sourceAddressPrefixes"
        words = _texts(group.fields.get(f"{rule}.{side}"))
        if words and not any(may_meet(word, space) for word in words for space in spaces):
            yield Finding(
                severity=Severity.WARNING,
                code="no_effect",
                message=f"{rule} never acts: {', '.join(words)} is in none of the subnets that name {group.ref.name}",
                hint=f"name addresses of {', '.join(spaces)}",
                origin=group.origins[f"{rule}.{side}"],
            )


def _texts(value: Json) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


def describe_group(live: Live, _below: tuple[Live, ...]) -> JsonObject:
    """The spec that declares `live` exactly as it is, with all its rules."""
    spec = describe(TYPE, live.wire, keep=frozenset({"location"}))
    spec |= {"resourceGroup": live.id.group, "rules": "exclusive"}
    listed = read_path(live.wire, _RULES.wire)
    rules = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    spec["securityRules"] = [{"name": each.get("name"), **_say(each)} for each in rules]
    return spec


def _say(item: JsonObject) -> JsonObject:
    """A rule as people write it: a set of one by its singular, what is empty not at all."""
    rule = {name: as_said(value) for name, value in read_rule(item).items()}
    said: JsonObject = {}
    for name in ("description", "direction", "access", "priority", "protocol", *ADDRESSES, *GROUPS, *PORTS):
        value = rule.get(name)
        singular = ADDRESSES.get(name) or PORTS.get(name)
        alone = value[0] if singular and isinstance(value, list) and len(value) == 1 else None
        if singular and alone is not None:
            said[singular] = "Any" if alone == ANY else alone
        elif value not in (None, "", []):
            said[name] = "Any" if value == ANY else value
    return {name: value for name, value in said.items() if (name, value) != ("sourcePortRange", "Any")}


KIND = Kind(
    name="NetworkSecurityGroup",
    spec=NetworkSecurityGroupSpec,
    types=(TYPE,),
    expand=expand,
    describe=describe_group,
    summary="A network security group with its rules.",
    relate=relate,
)
