"""Account: an Azure OpenAI or AI Services account with its deployments, content filters and firewall."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field as Described

from reconciler.kinds import deployment, endpoint_connection, rai_policy
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
    once,
)
from reconciler.kinds.checks import check_account
from reconciler.kinds.common import (
    HomeGroup,
    HomeRegion,
    OwnTags,
    Unknowns,
    home_of,
    is_nowhere,
    owned_tags,
    resolve_location,
    want,
    want_below,
)
from reconciler.kinds.deployment import DeploymentSpec, ElasticCapacitySpec, ElasticThroughputSpec
from reconciler.kinds.endpoint_connection import ConnectionRuleSpec, check_rules, read_rules
from reconciler.kinds.rai_policy import RaiPolicySpec
from reconciler.kinds.scalars import Address, HostName, IdentityId, SubnetId
from reconciler.kinds.spec import Flag, Spec, Text
from reconciler.kinds.subnet_rules import place_rules, relate_rules, resolve_rules
from reconciler.kinds.values import (
    folded,
    id_keys,
    id_keys_to_wire,
    identity_type,
    location,
    names,
    networks,
    networks_to_wire,
    one_of,
    subnet_rules,
)
from reconciler.model.ids import ArmId, fold_location
from reconciler.model.plan import Effect, FieldChange
from reconciler.model.quota import Offer
from reconciler.model.resource import Desired, Live, Throughput
from reconciler.model.wire import Json, JsonObject


def _kind_effect(before: Json, after: Json) -> Effect:
    """Azure upgrades OpenAI to AIServices in place, and back; nothing else."""
    upgradable = (None, "OpenAI", "AIServices")
    return Effect.IN_PLACE if before in upgradable and after in upgradable else Effect.REPLACE


def _forward_only(_before: Json, after: Json) -> Effect:
    return Effect.IN_PLACE if after else Effect.ONE_WAY


def _allows(before: Json, after: Json) -> bool:
    return after in ("Allow", "Enabled") and before != after


def _unlocks(before: Json, after: Json) -> bool:
    return bool(before) and not after


def _adds(before: Json, after: Json) -> bool:
    had = before if isinstance(before, list) else []
    return isinstance(after, list) and any(item not in had for item in after)


def split_subdomain(changes: tuple[FieldChange, ...]) -> tuple[tuple[str, ...], ...]:
    """Azure takes a firewall only where a subdomain is set: the subdomain and what restricts first, the rest after."""
    paths = tuple(change.path for change in changes)
    firewall = any(path.startswith("networkAcls.") for path in paths)
    if "customSubDomainName" not in paths or not firewall:
        return (paths,)
    second = tuple(change.path for change in changes if change.opens or change.path.startswith("networkAcls."))
    return tuple(path for path in paths if path not in second), second


_ACLS = ("properties", "networkAcls")
_IDENTITY = ("identity",)
_MADE_BY_AZURE = (
    "abusePenalty",
    "callRateLimit",
    "capabilities",
    "commitmentPlanAssociations",
    "dateCreated",
    "deletionDate",
    "endpoint",
    "endpoints",
    "internalId",
    "isMigrated",
    "privateEndpointConnections",
    "quotaLimit",
    "scheduledPurgeDate",
    "skuChangeInfo",
)

TYPE = ResourceType(
    arm_type="Microsoft.CognitiveServices/accounts",
    word="account",
    binding=Binding(
        client="cognitiveservices",
        group="accounts",
        names=("resource_group_name", "account_name"),
        get="get",
        put="begin_create",
        body="account",
        patch="begin_update",
        patch_body="account",
        delete="begin_delete",
        list_all="list",
        deleted_group="deleted_accounts",
        deleted_list="list",
        deleted_get="get",
        purge="begin_purge",
    ),
    fields=(
        Field(path="location", wire=("location",), normal=location, effect=once),
        Field(path="kind", wire=("kind",), normal=one_of("OpenAI", "AIServices"), effect=_kind_effect),
        Field(path="sku.name", wire=("sku", "name"), normal=one_of("S0"), whole=("sku",)),
        Field(path="customSubDomainName", wire=("properties", "customSubDomainName"), normal=folded, effect=once),
        Field(path="disableLocalAuth", wire=("properties", "disableLocalAuth"), default=False, opens=_unlocks),
        Field(
            path="publicNetworkAccess",
            wire=("properties", "publicNetworkAccess"),
            normal=one_of("Enabled", "Disabled", "SecuredByPerimeter"),
            default="Enabled",
            opens=_allows,
        ),
        Field(
            path="networkAcls.defaultAction",
            wire=(*_ACLS, "defaultAction"),
            normal=one_of("Allow", "Deny"),
            default="Allow",
            opens=_allows,
            whole=_ACLS,
        ),
        Field(
            path="networkAcls.bypass",
            wire=(*_ACLS, "bypass"),
            normal=one_of("None", "AzureServices"),
            opens=lambda _, after: after == "AzureServices",
            whole=_ACLS,
        ),
        Field(
            path="networkAcls.ipRules",
            wire=(*_ACLS, "ipRules"),
            normal=networks,
            to_wire=networks_to_wire,
            default=[],
            opens=_adds,
            whole=_ACLS,
        ),
        Field(
            path="networkAcls.virtualNetworkRules",
            wire=(*_ACLS, "virtualNetworkRules"),
            normal=subnet_rules,
            default=[],
            opens=_adds,
            whole=_ACLS,
        ),
        Field(path="identity.type", wire=("identity", "type"), normal=identity_type, default="None", whole=_IDENTITY),
        Field(
            path="identity.userAssignedIdentities",
            wire=("identity", "userAssignedIdentities"),
            normal=id_keys,
            to_wire=id_keys_to_wire,
            default=[],
            whole=_IDENTITY,
        ),
        Field(
            path="restrictOutboundNetworkAccess",
            wire=("properties", "restrictOutboundNetworkAccess"),
            default=False,
            opens=_unlocks,
        ),
        Field(path="allowedFqdnList", wire=("properties", "allowedFqdnList"), normal=names, default=[], opens=_adds),
        Field(
            path="allowProjectManagement",
            wire=("properties", "allowProjectManagement"),
            default=False,
            effect=_forward_only,
        ),
        Field(path="tags", wire=("tags",), shape=Shape.MAP, whole=("tags",)),
    ),
    readonly=(
        ("identity", "principalId"),
        ("identity", "tenantId"),
        ("identity", "userAssignedIdentities", "*", "clientId"),
        ("identity", "userAssignedIdentities", "*", "principalId"),
        *(("properties", each) for each in _MADE_BY_AZURE),
    ),
    patches=True,
    soft_deletes=True,
    taggable=True,
    patience=Patience(create=3600.0, update=3600.0, usual_create=40, usual_update=31),
    born={"publicNetworkAccess": "Disabled"},
    split=split_subdomain,
    links=((*_ACLS, "virtualNetworkRules", "*", "id"),),
    joins=(
        ((*_ACLS, "virtualNetworkRules", "*", "id"), "joinViaServiceEndpoint/action"),
        (("identity", "userAssignedIdentities"), "assign/action"),
    ),
)


class AccountSkuSpec(Spec):
    """The account's pricing tier."""

    name: Annotated[Literal["S0"], Described(description="Pricing tier; OpenAI and AIServices know S0 only.")]


class IpRuleSpec(Spec):
    """An IP rule as Azure writes it; the address alone says the same."""

    value: Annotated[Address, Described(description="A public IPv4 address or network.")]


class SubnetRuleSpec(Spec):
    """A subnet that may reach the account."""

    id: Annotated[SubnetId, Described(description="ARM id of the subnet, or network/subnet.")]
    ignore_missing_vnet_service_endpoint: Annotated[
        Flag | None, Described(description="Accept the rule although the subnet lacks the service endpoint.")
    ] = None


class NetworkAclsSpec(Spec):
    """The account's firewall. It acts while publicNetworkAccess is Enabled and defaultAction is Deny."""

    default_action: Annotated[
        Literal["Allow", "Deny"], Described(description="What happens to a caller that no rule names.")
    ]
    bypass: Annotated[
        Literal["None", "AzureServices"] | None,
        Described(description="Whether trusted Azure services pass the firewall."),
    ] = None
    ip_rules: Annotated[
        list[Address | IpRuleSpec] | None,
        Described(
            max_length=100,
            examples=["[203.0.113.0/24]"],
            description="Public IPv4 addresses and networks that may call; at most 100, no /31 or /32.",
        ),
    ] = None
    virtual_network_rules: Annotated[
        list[SubnetId | SubnetRuleSpec] | None,
        Described(
            max_length=100,
            description="Subnets that may call, as network/subnet of a VirtualNetwork document or by ARM id; at most "
            "100.",
            examples=["[vnet-ai/gateway]"],
            json_schema_extra={"note": "A subnet needs the service endpoint Microsoft.CognitiveServices."},
        ),
    ] = None


class IdentitySpec(Spec):
    """Managed identity of the account."""

    type: Annotated[
        Literal["None", "SystemAssigned", "UserAssigned", "SystemAssigned, UserAssigned"],
        Described(description="Which identities the account has."),
    ]
    user_assigned_identities: Annotated[
        list[IdentityId] | None, Described(description="ARM ids of the user-assigned identities.")
    ] = None


class AccountSpec(Spec):
    """An Azure OpenAI or AI Services account with its deployments, content filters and firewall."""

    resource_group: HomeGroup = None
    location: HomeRegion = None
    kind: Annotated[
        Literal["OpenAI", "AIServices"], Described(description="OpenAI, or AIServices (which includes it).")
    ] = "OpenAI"
    sku: Annotated[AccountSkuSpec | None, Described(description="Pricing tier; S0 when left out.")] = None
    custom_sub_domain_name: Annotated[
        Text | None,
        Described(
            description="Name in https://<name>.openai.azure.com, unique in the world. Can be set once, never changed.",
            pattern=r"^[A-Za-z0-9][A-Za-z0-9\-]{0,62}[A-Za-z0-9]$",
            examples=["aoai-swc-prod"],
            json_schema_extra={
                "rule": "use 2 to 64 letters, digits and dashes, no dash at either end",
                "note": "Azure needs it for networkAcls, private endpoints and Entra ID sign-in.",
            },
        ),
    ] = None
    disable_local_auth: Annotated[
        Flag | None, Described(description="true refuses account keys; callers need Entra ID.")
    ] = None
    public_network_access: Annotated[
        Literal["Enabled", "Disabled"],
        Described(
            examples=["Disabled"],
            description="Whether the public endpoint answers at all. Must be written: an exposure is never a default.",
        ),
    ]
    network_acls: Annotated[NetworkAclsSpec | None, Described(description="Firewall of the public endpoint.")] = None
    identity: Annotated[IdentitySpec | None, Described(description="Managed identity.")] = None
    restrict_outbound_network_access: Annotated[
        Flag | None, Described(description="true limits outbound calls to allowedFqdnList.")
    ] = None
    allowed_fqdn_list: Annotated[list[HostName] | None, Described(description="Host names the account may call.")] = (
        None
    )
    allow_project_management: Annotated[
        Flag | None, Described(description="Allow projects; can be turned on, never off.")
    ] = None
    tags: OwnTags = None
    deployments: Annotated[list[DeploymentSpec] | None, Described(description="Model deployments.")] = None
    rai_policies: Annotated[list[RaiPolicySpec] | None, Described(description="Content filters.")] = None
    private_endpoint_connections: Annotated[
        list[ConnectionRuleSpec] | None,
        Described(
            description="What becomes of private endpoints that connect; the first rule that fits decides, what none "
            "fits is left alone. Endpoints of this fleet that lead here are approved without a rule.",
            examples=["[{match: pe-hub, status: Approved}]"],
        ),
    ] = None
    additional_properties: Unknowns = None


def expand(document: Document, setting: Setting) -> Expansion:
    """The account, its content filters and its deployments, each needing what it stands on."""
    spec = document.spec
    assert isinstance(spec, AccountSpec)
    region, findings = resolve_location(document, setting)
    findings += check_account(document, spec, setting)
    rules, unresolved = resolve_rules(document, spec, setting)
    findings += (*unresolved, *check_rules(document, tuple(spec.private_endpoint_connections or ())))
    if is_nowhere(findings):
        return Expansion(findings=findings)
    group = home_of(document, setting)
    id = group.resource(TYPE.arm_type, setting.name_of(document.ref))
    written: JsonObject = {"kind": "OpenAI", "sku": {"name": "S0"}, **spec.written()}
    written |= {"location": region, "tags": owned_tags(document, setting)}
    acls = written.get("networkAcls")
    if isinstance(acls, dict):
        # A firewall is declared as a whole: an address that somebody adds to it is never nobody's business.
        written["networkAcls"] = {"ipRules": [], "virtualNetworkRules": [], **acls}
    if spec.identity and "UserAssigned" not in spec.identity.type:
        # Azure refuses a map of identities beside a type that leaves no place for it.
        written["identity"] = {"type": spec.identity.type, "userAssignedIdentities": []}
    if spec.network_acls and spec.network_acls.virtual_network_rules:
        acls = written["networkAcls"]
        assert isinstance(acls, dict)
        written["networkAcls"] = {**acls, "virtualNetworkRules": [rule.wire for rule in rules]}
    fields = declare(TYPE, written)
    needs = (group, *dict.fromkeys(rule.subnet for rule in rules))
    account = replace(
        want(document, id, fields, needs, place_rules(rules)),
        judgements=read_rules(document, spec.private_endpoint_connections or ()),
    )
    return Expansion(
        desired=(account, *_filters(document, spec, id), *_deployments(document, spec, id, region)), findings=findings
    )


def _filters(document: Document, spec: AccountSpec, account: ArmId) -> Iterator[Desired]:
    for at, each in enumerate(spec.rai_policies or ()):
        fields = declare(rai_policy.TYPE, each.written())
        yield want_below(document, account.child("raiPolicies", each.name), ("raiPolicies", at), fields)


def _deployments(document: Document, spec: AccountSpec, account: ArmId, region: str) -> Iterator[Desired]:
    filters = {each.name.lower(): each.name for each in spec.rai_policies or ()}
    for at, each in enumerate(spec.deployments or ()):
        model = {"format": each.model.format, **each.model.written()}
        written = {**each.written(), "model": model}
        floor = None
        if isinstance(each.sku.capacity, ElasticCapacitySpec):
            floor = each.sku.capacity.min
            written["sku"] = {**written["sku"], "capacity": each.sku.capacity.want}
        fields = declare(deployment.TYPE, written)
        named = filters.get((each.rai_policy_name or "").lower())
        needs = (account.child("raiPolicies", named),) if named else ()
        wanted = want_below(document, account.child("deployments", each.name), ("deployments", at), fields, needs)
        yield replace(wanted, floor=floor, throughput=_throughput(each, region))


def _throughput(spec: DeploymentSpec, region: str) -> Throughput | None:
    if spec.sku.tpm is None:
        return None
    model = spec.model
    offer = Offer(
        location=fold_location(region),
        format=model.format.lower(),
        model=model.name.lower(),
        version=(model.version or "").lower(),
        sku=spec.sku.name.lower(),
    )
    if isinstance(spec.sku.tpm, ElasticThroughputSpec):
        want, least = (deployment.read_tpm(each) for each in (spec.sku.tpm.want, spec.sku.tpm.min))
        return Throughput(tokens_per_minute=want, least=least, offer=offer)
    return Throughput(tokens_per_minute=deployment.read_tpm(spec.sku.tpm), offer=offer)


def describe_account(live: Live, below: tuple[Live, ...]) -> JsonObject:
    """The Account spec that declares `live` and everything below it exactly as it is."""
    spec = describe(TYPE, live.wire, keep=frozenset({"location", "kind", "sku.name", "publicNetworkAccess"}))
    if spec["publicNetworkAccess"] == "Enabled" and "networkAcls" not in spec:
        spec["networkAcls"] = {"defaultAction": "Allow"}
    acls = spec.get("networkAcls")
    if isinstance(acls, dict):
        acls.setdefault("defaultAction", "Allow")
    spec["resourceGroup"] = live.id.group
    deployments: list[Json] = []
    filters: list[Json] = []
    for each in sorted(below, key=lambda child: child.id.key):
        if each.type.lower() == deployment.TYPE.arm_type.lower():
            deployments.append(
                {"name": each.id.name, **describe(deployment.TYPE, each.wire, keep=frozenset({"sku.capacity"}))}
            )
        elif each.type.lower() == rai_policy.TYPE.arm_type.lower() and not rai_policy.TYPE.reserves(each.id.name):
            filters.append({"name": each.id.name, **describe(rai_policy.TYPE, each.wire)})
    if filters:
        spec["raiPolicies"] = filters
    if deployments:
        spec["deployments"] = deployments
    return spec


KIND = Kind(
    name="Account",
    spec=AccountSpec,
    types=(TYPE, rai_policy.TYPE, deployment.TYPE, endpoint_connection.TYPE),
    expand=expand,
    describe=describe_account,
    summary="An Azure OpenAI or AI Services account with its deployments, content filters and firewall.",
    relate=relate_rules,
)
