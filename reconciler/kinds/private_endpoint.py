"""PrivateEndpoint: an address in a subnet behind which an account, or anything else, answers; with its DNS zone group.

The zone group is owned, left to others, or required of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field as Described

from reconciler.kinds import dns_zone_group
from reconciler.kinds.base import Document, Expansion, Kind, Setting, declare, describe
from reconciler.kinds.common import (
    HomeGroup,
    OwnTags,
    Unknowns,
    check_home,
    check_name,
    child_lifecycle,
    home_of,
    is_nowhere,
    near,
    owned_tags,
    resolve_location,
    want,
)
from reconciler.kinds.endpoint import AUTOMATIC, LINK_SERVICE, MANUAL, TYPE, fold_group
from reconciler.kinds.endpoint_relations import relate
from reconciler.kinds.scalars import (
    ACCOUNT_TYPE,
    PrivateAddress,
    Region,
    SubnetId,
    TargetId,
    ZoneRef,
)
from reconciler.kinds.spec import Spec, Text
from reconciler.kinds.subnet_rules import find_subnet
from reconciler.model.finding import Finding, Origin
from reconciler.model.ids import ArmId, Ref
from reconciler.model.lifecycle import ManagePolicy
from reconciler.model.resource import Desired, Live
from reconciler.model.wire import JsonObject

_NAME = r"^[A-Za-z0-9]([A-Za-z0-9_.\-]{0,78}[A-Za-z0-9_])?$"


class IpConfigurationSpec(Spec):
    """A static address of the endpoint."""

    private_ip_address: Annotated[
        PrivateAddress,
        Described(alias="privateIPAddress", description="An address of the subnet.", examples=["10.1.2.10"]),
    ]
    group_id: Annotated[Text | None, Described(description="One of groupIds; the first when left out.")] = None
    member_name: Annotated[
        Text | None,
        Described(
            description="Which of the target's names it is for. An OpenAI account has one, default, which is meant "
            "when left out; an AIServices account also has secondary and third.",
        ),
    ] = None


class PrivateEndpointSpec(Spec):
    """A private endpoint with its DNS zone group."""

    resource_group: HomeGroup = None
    location: Annotated[
        Region | None,
        Described(description="Region of its network, which need not be the target's; the fleet's when left out."),
    ] = None
    subnet: Annotated[
        SubnetId,
        Described(
            description="Where it stands: network/subnet of a VirtualNetwork document, or an ARM id. Cannot be "
            "changed.",
            examples=["vnet-ai/endpoints"],
        ),
    ]
    account: Annotated[
        Text | None,
        Described(
            description="Where it leads: the name of an Account document.",
            examples=["aoai-swc-prod"],
            json_schema_extra={"needed": True},
        ),
    ] = None
    private_link_service_id: Annotated[
        TargetId | None,
        Described(
            description="Where it leads, instead of account: any ARM id, of another subscription or region too. Cannot "
            "be changed.",
        ),
    ] = None
    group_ids: Annotated[
        list[Text] | None,
        Described(
            description="What of the target is meant; of an account there is only `account`, which need not be said."
        ),
    ] = None
    approval: Annotated[
        Literal["automatic", "manual"],
        Described(
            description="automatic connects at once if our identity may approve at the target; manual asks its owner "
            "and waits. Cannot be changed."
        ),
    ] = "automatic"
    request_message: Annotated[
        Text | None, Described(max_length=140, description="Words for the owner of the target; manual only.")
    ] = None
    ip_configurations: Annotated[
        list[IpConfigurationSpec] | None,
        Described(
            description="Static addresses; Azure chooses when left out. Cannot be changed.",
            examples=["[{privateIPAddress: 10.1.2.10}]"],
        ),
    ] = None
    custom_network_interface_name: Annotated[
        Text | None,
        Described(
            pattern=_NAME,
            description="Name of its network interface; Azure makes one up when left out. Cannot be changed.",
            json_schema_extra={"rule": "use up to 80 letters, digits, - _ . and begin with a letter or digit"},
        ),
    ] = None
    private_dns_zones: Annotated[
        list[ZoneRef] | None,
        Described(
            min_length=1,
            max_length=5,
            description="Zones that shall hold its names: names of PrivateDnsZone documents, or ARM ids; all of them.",
            examples=["[privatelink.openai.azure.com]"],
        ),
    ] = None
    dns_zone_group: Annotated[
        Literal["own", "leave", "require"] | None,
        Described(
            description="own writes the zones into Azure; leave does not look at them; require leaves them to others, "
            "such as Azure Policy, and says so while they are not there. own when there are privateDnsZones, else "
            "leave.",
        ),
    ] = None
    tags: OwnTags = None
    additional_properties: Unknowns = None


def expand(document: Document, setting: Setting) -> Expansion:
    """The endpoint, needing its subnet and all of its account, and the zone group, needing its zones."""
    spec = document.spec
    assert isinstance(spec, PrivateEndpointSpec)
    region, missing = resolve_location(document, setting)
    subnet, target = find_subnet(spec.subnet, setting), _target_of(spec, setting)
    findings = (
        *missing,
        *check_name(document, setting, _NAME, TYPE.word),
        *check_home(document, setting),
        *_check_subnet(document, spec, setting),
        *_check_target(document, spec, setting),
        *_check_approval(document, spec),
        *_check_addresses(document, spec),
        *_check_zones(document, spec, setting),
    )
    if is_nowhere(findings) or subnet is None or target is None:
        return Expansion(findings=findings)
    group = home_of(document, setting)
    written: JsonObject = spec.written()
    written |= {"location": region, "tags": owned_tags(document, setting), "subnet": str(subnet)}
    written |= {"privateLinkServiceId": str(target), "approval": spec.approval}
    written["groupIds"] = [*_groups_of(spec, target)]
    if spec.ip_configurations:
        written["ipConfigurations"] = [_complete(each, spec, target) for each in spec.ip_configurations]
    fields = declare(TYPE, written)
    id = group.resource(TYPE.arm_type, setting.name_of(document.ref))
    endpoint = want(document, id, fields, (group, subnet, target), _places(document, spec))
    if _mode(spec) == "leave":
        endpoint = replace(endpoint, leaves=frozenset({dns_zone_group.TYPE.arm_type.lower()}))
    return Expansion(desired=(endpoint, *_zone_group(document, spec, setting, endpoint.id)), findings=findings)


def _zone_group(document: Document, spec: PrivateEndpointSpec, setting: Setting, endpoint: ArmId) -> Iterator[Desired]:
    """The zone group; one that is required is watched and never written."""
    named = spec.private_dns_zones or ()
    zones = [zone for each in named if (zone := _zone_of(each, setting))]
    if _mode(spec) == "leave" or not named or len(zones) < len(named):
        return
    fields = declare(dns_zone_group.TYPE, {"privateDnsZones": [str(zone) for zone in zones]})
    lifecycle = child_lifecycle(document.lifecycle, "dnsZoneGroup")
    if _mode(spec) == "require" and lifecycle.policy is ManagePolicy.MANAGE:
        lifecycle = replace(lifecycle, policy=ManagePolicy.REQUIRE)
    yield Desired(
        id=endpoint.child("privateDnsZoneGroups", "default"),
        ref=Ref(kind=document.ref.kind, name=f"{document.ref.name}/dnsZoneGroup"),
        fields=fields,
        needs=(endpoint, *zones),
        lifecycle=lifecycle,
        origin=document.place(("privateDnsZones",)),
        origins={path: document.place((path,)) for path in fields},
        labels=document.labels,
    )


def _places(document: Document, spec: PrivateEndpointSpec) -> Mapping[str, Origin]:
    """Where the target was written, by whichever of its names, and each static address."""
    addresses = {
        f"ipConfigurations[{each.private_ip_address}]": document.place(("ipConfigurations", at, "privateIPAddress"))
        for at, each in enumerate(spec.ip_configurations or ())
    }
    return {**addresses, "privateLinkServiceId": document.place(_target_path(spec))}


def _mode(spec: PrivateEndpointSpec) -> str:
    return spec.dns_zone_group or ("own" if spec.private_dns_zones else "leave")


def _target_path(spec: PrivateEndpointSpec) -> tuple[str]:
    return ("account",) if spec.account is not None else ("privateLinkServiceId",)


def _target_of(spec: PrivateEndpointSpec, setting: Setting) -> ArmId | None:
    if spec.private_link_service_id is not None:
        return ArmId.parse(spec.private_link_service_id)
    return setting.find("Account", spec.account) if spec.account is not None else None


def _groups_of(spec: PrivateEndpointSpec, target: ArmId) -> tuple[str, ...]:
    if spec.group_ids is None and target.type.lower() == ACCOUNT_TYPE.lower():
        return ("account",)
    return tuple(spec.group_ids or ())


def _complete(each: IpConfigurationSpec, spec: PrivateEndpointSpec, target: ArmId) -> JsonObject:
    """A static address with what it means where it says nothing."""
    groups = _groups_of(spec, target)
    member = "default" if target.type.lower() == ACCOUNT_TYPE.lower() else next(iter(groups), "")
    return {
        "privateIPAddress": each.private_ip_address,
        "groupId": each.group_id or next(iter(groups), ""),
        "memberName": each.member_name or member,
    }


def _zone_of(named: str, setting: Setting) -> ArmId | None:
    return ArmId.parse(named) if named.startswith("/") else setting.find("PrivateDnsZone", named)


def _check_subnet(document: Document, spec: PrivateEndpointSpec, setting: Setting) -> Iterator[Finding]:
    if find_subnet(spec.subnet, setting) is not None:
        return
    network = spec.subnet.partition("/")[0]
    yield Finding(
        code="dangling",
        message=f"subnet names {spec.subnet}, but no document declares a VirtualNetwork {network}",
        hint=near(network, setting.names("VirtualNetwork"))
        or "declare the network, or write the subnet's id: /subscriptions/…/virtualNetworks/"
        + spec.subnet.replace("/", "/subnets/", 1),
        origin=document.place(("subnet",)),
    )


def _check_target(document: Document, spec: PrivateEndpointSpec, setting: Setting) -> Iterator[Finding]:
    if spec.account is not None and spec.private_link_service_id is not None:
        yield Finding(
            code="contradiction",
            message=f"{document.ref} says both account and privateLinkServiceId",
            hint="keep one of them",
            origin=document.place(("privateLinkServiceId",)),
        )
    elif spec.account is None and spec.private_link_service_id is None:
        yield Finding(
            code="missing",
            message=f"{document.ref} does not say where it leads",
            hint="add `account`, the name of an Account document, or privateLinkServiceId, an ARM id",
            origin=document.origin,
        )
    elif spec.account is not None and _target_of(spec, setting) is None:
        yield Finding(
            code="dangling",
            message=f"account names {spec.account}, which no document declares",
            hint=near(spec.account, setting.names("Account"))
            or f"declare an Account named {spec.account}, or write its id as privateLinkServiceId",
            origin=document.place(("account",)),
        )
    else:
        yield from _check_groups(document, spec, setting)


def _check_groups(document: Document, spec: PrivateEndpointSpec, setting: Setting) -> Iterator[Finding]:
    """What of the target is meant: an account has one thing to offer, a private link service none."""
    target = _target_of(spec, setting)
    assert target is not None
    groups = [str(fold_group(each)) for each in _groups_of(spec, target)]
    place = document.place(("groupIds",) if spec.group_ids is not None else _target_path(spec))
    if target.type.lower() == ACCOUNT_TYPE.lower() and groups != ["account"]:
        message, hint = f"groupIds: an account offers account, not {', '.join(groups) or 'nothing'}", "remove groupIds"
    elif target.type.lower() == LINK_SERVICE and groups:
        message, hint = "groupIds: a private link service has none", "remove groupIds"
    elif target.type.lower() not in (ACCOUNT_TYPE.lower(), LINK_SERVICE) and not groups:
        message = f"{document.ref} does not say what of {target.name} it means"
        hint = f"add groupIds, as the private link resources of a {target.type} name them, such as vault or blob"
    else:
        return
    yield Finding(code="group_ids", message=message, hint=hint, origin=place)


def _check_approval(document: Document, spec: PrivateEndpointSpec) -> Iterator[Finding]:
    if spec.request_message is not None and spec.approval != MANUAL:
        yield Finding(
            code="contradiction",
            message="requestMessage is for the owner of the target, who is not asked",
            hint="add `approval: manual`, or remove it",
            origin=document.place(("requestMessage",)),
        )


def _check_addresses(document: Document, spec: PrivateEndpointSpec) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    members: dict[tuple[str, str], int] = {}
    for at, each in enumerate(spec.ip_configurations or ()):
        address, member = each.private_ip_address, (each.group_id or "", each.member_name or "")
        for word, first, key in (
            (address, seen.setdefault(address, at), "privateIPAddress"),
            (member[1] or "the default member", members.setdefault(member, at), "memberName"),
        ):
            if first != at:
                yield Finding(
                    code="duplicate_value",
                    message=f"ipConfigurations names {word} twice",
                    hint=f"the other one is at {document.place(('ipConfigurations', first))}; change or remove one",
                    origin=document.place(("ipConfigurations", at, key)),
                )


def _check_zones(document: Document, spec: PrivateEndpointSpec, setting: Setting) -> Iterator[Finding]:
    zones = spec.private_dns_zones or ()
    if _mode(spec) == "leave" and zones:
        yield Finding(
            code="contradiction",
            message="privateDnsZones are named, and dnsZoneGroup: leave does not look at them",
            hint="write `dnsZoneGroup: own` or `require`, or remove privateDnsZones",
            origin=document.place(("dnsZoneGroup",)),
        )
    if _mode(spec) != "leave" and not zones:
        yield Finding(
            code="missing",
            message=f"dnsZoneGroup: {_mode(spec)} needs privateDnsZones",
            hint="name the zones, such as `privateDnsZones: [privatelink.openai.azure.com]`",
            origin=document.place(("dnsZoneGroup",)),
        )
    seen: dict[ArmId, int] = {}
    for at, named in enumerate(zones):
        zone = _zone_of(named, setting)
        place = document.place(("privateDnsZones", at))
        if zone is None:
            yield Finding(
                code="dangling",
                message=f"privateDnsZones names {named}, which no document declares",
                hint=near(named, setting.names("PrivateDnsZone"))
                or f"declare a PrivateDnsZone named {named}, or write the ARM id of one",
                origin=place,
            )
        elif seen.setdefault(zone, at) != at:
            yield Finding(
                code="duplicate_value",
                message=f"privateDnsZones names {zone.name} twice",
                hint="keep one",
                origin=place,
            )


def describe_endpoint(live: Live, below: tuple[Live, ...]) -> JsonObject:
    """The spec that declares `live` and its zone group exactly as they are."""
    spec = describe(TYPE, live.wire, keep=frozenset({"location"}))
    spec["resourceGroup"] = live.id.group
    if spec.get("approval") == AUTOMATIC:
        # An automatic connection has nobody to read it.
        spec.pop("requestMessage", None)
    for each in below:
        if each.type.lower() == dns_zone_group.TYPE.arm_type.lower():
            spec |= describe(dns_zone_group.TYPE, each.wire)
    return spec


KIND = Kind(
    name="PrivateEndpoint",
    spec=PrivateEndpointSpec,
    types=(TYPE, dns_zone_group.TYPE),
    expand=expand,
    describe=describe_endpoint,
    summary="A private endpoint with its DNS zone group.",
    relate=relate,
)
