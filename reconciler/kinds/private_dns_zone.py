"""PrivateDnsZone: names that only linked networks resolve, with its links.

The zone and its links are declared; the records in it are written by the zone groups of private endpoints, and are
nobody's here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field as Described

from reconciler.kinds.base import (
    Binding,
    Document,
    Expansion,
    Field,
    Kind,
    Patience,
    ResourceType,
    Setting,
    Shape,
    declare,
    describe,
    fixed,
)
from reconciler.kinds.common import (
    HomeGroup,
    OwnTags,
    check_home,
    home_of,
    is_nowhere,
    near,
    owned_tags,
    want,
    want_below,
)
from reconciler.kinds.scalars import PRIVATE_ZONE_TYPE, NetworkRef
from reconciler.kinds.spec import Flag, Spec, Text
from reconciler.kinds.values import location, one_of, reference, reference_to_wire
from reconciler.model.finding import Finding, Severity
from reconciler.model.ids import ArmId
from reconciler.model.resource import Desired, Live
from reconciler.model.wire import Json, JsonObject

GLOBAL = "global"  # where Azure keeps private zones and their links

TYPE = ResourceType(
    arm_type=PRIVATE_ZONE_TYPE,
    word="private DNS zone",
    binding=Binding(
        client="privatedns",
        group="private_zones",
        names=("resource_group_name", "private_zone_name"),
        get="get",
        put="begin_create_or_update",
        body="parameters",
        delete="begin_delete",
        list_all="list",
    ),
    fields=(
        Field(path="location", wire=("location",), normal=location),
        Field(path="tags", wire=("tags",), shape=Shape.MAP, whole=("tags",)),
    ),
    readonly=tuple(
        ("properties", name)
        for name in (
            "internalId",
            "maxNumberOfRecordSets",
            "maxNumberOfVirtualNetworkLinks",
            "maxNumberOfVirtualNetworkLinksWithRegistration",
            "numberOfRecordSets",
            "numberOfVirtualNetworkLinks",
            "numberOfVirtualNetworkLinksWithRegistration",
        )
    ),
    taggable=True,
    on_demand=True,
    patience=Patience(create=900.0, update=900.0, delete=900.0, usual_create=30, usual_update=30),
)

LINK = ResourceType(
    arm_type=f"{PRIVATE_ZONE_TYPE}/virtualNetworkLinks",
    word="virtual network link",
    binding=Binding(
        client="privatedns",
        group="virtual_network_links",
        names=("resource_group_name", "private_zone_name", "virtual_network_link_name"),
        get="get",
        put="begin_create_or_update",
        body="parameters",
        delete="begin_delete",
        list_children="list",
    ),
    fields=(
        Field(path="location", wire=("location",), normal=location),
        Field(
            path="virtualNetwork",
            wire=("properties", "virtualNetwork"),
            normal=reference,
            to_wire=reference_to_wire,
            effect=fixed,
        ),
        Field(path="registrationEnabled", wire=("properties", "registrationEnabled"), default=False),
        Field(
            path="resolutionPolicy",
            wire=("properties", "resolutionPolicy"),
            normal=one_of("Default", "NxDomainRedirect"),
            default="Default",
        ),
    ),
    readonly=(("properties", "virtualNetworkLinkState"),),
    # The link answers Succeeded before the network can resolve the zone.
    later=("properties", "virtualNetworkLinkState"),
    links=(("properties", "virtualNetwork", "id"),),
    joins=((("properties", "virtualNetwork", "id"), "join/action"),),
    patience=Patience(create=900.0, update=900.0, delete=900.0, usual_create=50, usual_update=50),
)

_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_ZONE = re.compile(rf"{_LABEL}(\.{_LABEL}){{1,33}}")
_LINK_NAME = r"^[A-Za-z0-9_]([A-Za-z0-9_\-]{0,78}[A-Za-z0-9_])?$"

# What the name of a zone is most often meant to be, for a hint where it is almost one of them.
KNOWN = (
    "privatelink.cognitiveservices.azure.com",
    "privatelink.openai.azure.com",
    "privatelink.services.ai.azure.com",
)


class LinkSpec(Spec):
    """A network whose machines resolve the names of the zone."""

    name: Annotated[
        Text,
        Described(
            description="The link's name; links are told apart by it.",
            pattern=_LINK_NAME,
            examples=["vnet-ai"],
            json_schema_extra={"rule": "use up to 80 letters, digits, - _ and begin and end with none of the dashes"},
        ),
    ]
    virtual_network: Annotated[
        NetworkRef,
        Described(
            description="Name of a VirtualNetwork document, or an ARM id. Cannot be changed.", examples=["vnet-ai"]
        ),
    ]
    registration_enabled: Annotated[
        Flag, Described(description="Whether machines of the network register their own names in the zone.")
    ] = False
    resolution_policy: Annotated[
        Literal["Default", "NxDomainRedirect"] | None,
        Described(description="NxDomainRedirect asks the public DNS for names that the zone does not have."),
    ] = None


class PrivateDnsZoneSpec(Spec):
    """A private DNS zone, called like its document, with the networks that resolve it."""

    resource_group: HomeGroup = None
    virtual_network_links: Annotated[
        list[LinkSpec] | None,
        Described(
            max_length=1000,
            description="Links; others that exist are left alone unless Fleet spec.prune.virtualNetworkLinks.",
            examples=["[{name: vnet-ai, virtualNetwork: vnet-ai}]"],
        ),
    ] = None
    tags: OwnTags = None


def expand(document: Document, setting: Setting) -> Expansion:
    """The zone, and each link as a resource of its own that needs the zone and its network."""
    spec = document.spec
    assert isinstance(spec, PrivateDnsZoneSpec)
    findings = (
        *_check_name(document, setting),
        *check_home(document, setting),
        *_check_links(document, spec, setting),
    )
    if is_nowhere(findings):
        return Expansion(findings=findings)
    group = home_of(document, setting)
    id = group.resource(TYPE.arm_type, setting.name_of(document.ref))
    fields = declare(TYPE, {"location": GLOBAL, "tags": owned_tags(document, setting)})
    zone = want(document, id, fields, (group,))
    return Expansion(desired=(zone, *_links(document, spec, setting, id)), findings=findings)


def _links(document: Document, spec: PrivateDnsZoneSpec, setting: Setting, zone: ArmId) -> Iterator[Desired]:
    names: set[str] = set()
    for at, each in enumerate(spec.virtual_network_links or ()):
        network = _network(each, setting)
        if network is None or each.name.lower() in names:
            continue
        names.add(each.name.lower())
        fields = declare(LINK, {**each.written(), "location": GLOBAL, "virtualNetwork": str(network)})
        id = zone.child("virtualNetworkLinks", each.name)
        yield want_below(document, id, ("virtualNetworkLinks", at), fields, (network,))


def _network(link: LinkSpec, setting: Setting) -> ArmId | None:
    named = link.virtual_network
    return ArmId.parse(named) if named.startswith("/") else setting.find("VirtualNetwork", named)


def _check_name(document: Document, setting: Setting) -> Iterator[Finding]:
    name = setting.name_of(document.ref)
    if not _ZONE.fullmatch(name):
        yield Finding(
            code="name",
            message=f"a private DNS zone cannot be called {name!r}",
            hint="write a domain of two labels or more, such as privatelink.openai.azure.com",
            origin=document.name_origin,
        )
        return
    meant = next((each for each in KNOWN if 0 < _slips(name.lower(), each) <= 2), "")
    if meant and name.lower().endswith(".com"):
        yield Finding(
            severity=Severity.WARNING,
            code="zone_name",
            message=f"{name} is the zone of no service that is known here",
            hint=f"did you mean {meant}?",
            origin=document.name_origin,
        )


def _slips(one: str, other: str) -> int:
    """How many letters have to be added, removed or changed to make one of the other."""
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, start=1):
        above, row[0] = row[0], i
        for j, right in enumerate(other, start=1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (left != right))
    return row[-1]


def _check_links(document: Document, spec: PrivateDnsZoneSpec, setting: Setting) -> Iterator[Finding]:
    names: dict[str, int] = {}
    networks: dict[ArmId, int] = {}
    for at, each in enumerate(spec.virtual_network_links or ()):
        network = _network(each, setting)
        place = document.place(("virtualNetworkLinks", at, "virtualNetwork"))
        if network is None:
            yield Finding(
                code="dangling",
                message=f"virtualNetworkLinks[{each.name}].virtualNetwork names {each.virtual_network}, which no "
                "document declares",
                hint=near(each.virtual_network, setting.names("VirtualNetwork"))
                or f"declare a VirtualNetwork named {each.virtual_network}, or write the ARM id of one",
                origin=place,
            )
        elif networks.setdefault(network, at) != at:
            first = document.place(("virtualNetworkLinks", networks[network], "virtualNetwork"))
            yield Finding(
                code="duplicate_link",
                message=f"virtualNetworkLinks links {network.name} twice; Azure takes one link per network",
                hint=f"the other one is at {first}; remove one",
                origin=place,
            )
        if names.setdefault(each.name.lower(), at) != at:
            first = document.place(("virtualNetworkLinks", names[each.name.lower()], "name"))
            yield Finding(
                code="duplicate_name",
                message=f"virtualNetworkLinks names {each.name} twice",
                hint=f"the other one is at {first}; rename or remove one",
                origin=document.place(("virtualNetworkLinks", at, "name")),
            )


def describe_zone(live: Live, below: tuple[Live, ...]) -> JsonObject:
    """The spec that declares `live` and all its links exactly as they are."""
    spec = describe(TYPE, live.wire)
    spec.pop("location", None)
    spec["resourceGroup"] = live.id.group
    links: list[Json] = []
    for each in sorted(below, key=lambda child: child.id.key):
        if each.type.lower() == LINK.arm_type.lower():
            said = describe(LINK, each.wire)
            said.pop("location", None)
            links.append({"name": each.id.name, **said})
    if links:
        spec["virtualNetworkLinks"] = links
    return spec


KIND = Kind(
    name="PrivateDnsZone",
    spec=PrivateDnsZoneSpec,
    types=(TYPE, LINK),
    expand=expand,
    describe=describe_zone,
    summary="A private DNS zone with its links to virtual networks.",
)
