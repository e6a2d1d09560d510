"""What the types of a spec cannot say: findings about values that contradict each other or that Azure would refuse.

Each check looks at one document and its fleet's defaults. What documents say to each other is `desired/graph.py`'s.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from reconciler.kinds.base import Document, Setting
from reconciler.kinds.common import check_home, check_repeats
from reconciler.kinds.deployment import DeploymentSpec, ElasticCapacitySpec, ElasticThroughputSpec, read_tpm
from reconciler.model.finding import Finding, Origin, Severity

if TYPE_CHECKING:
    from reconciler.kinds.account import AccountSpec

_ACCOUNT_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,63}")
_GROUP_NAME = re.compile(r"[\w().-]{0,89}[\w()-]")


def check_account(document: Document, spec: AccountSpec, setting: Setting) -> tuple[Finding, ...]:
    """Everything wrong with an Account document beyond its types."""
    return (
        *_check_account_name(document, setting),
        *check_home(document, setting),
        *_check_exposure(document, spec),
        *_check_rules_twice(document, spec),
        *_check_idle_rules(document, spec),
        *_check_identity(document, spec),
        *_check_filters(document, spec),
        *_check_deployments(document, spec),
    )


def check_group_name(document: Document, setting: Setting) -> tuple[Finding, ...]:
    """A ResourceGroup's name as ARM takes it."""
    name = setting.name_of(document.ref)
    if _GROUP_NAME.fullmatch(name):
        return ()
    finding = Finding(
        code="name",
        message=f"a resource group cannot be called {name!r}",
        hint="use up to 90 letters, digits, - _ . ( ) and no dot at the end",
        origin=document.name_origin,
    )
    return (finding,)


def _check_account_name(document: Document, setting: Setting) -> Iterator[Finding]:
    name = setting.name_of(document.ref)
    if not _ACCOUNT_NAME.fullmatch(name):
        yield Finding(
            code="name",
            message=f"an account cannot be called {name!r}",
            hint="use 2 to 64 letters, digits, - _ . and begin with a letter or digit",
            origin=document.name_origin,
        )


def _check_exposure(document: Document, spec: AccountSpec) -> Iterator[Finding]:
    """Who can reach the account must be written down, and written so that Azure can do it."""
    acls = spec.network_acls
    if acls is None and spec.public_network_access == "Enabled":
        yield Finding(
            code="exposure_undeclared",
            message="the public endpoint is enabled, but networkAcls.defaultAction does not say for whom",
            hint="add `networkAcls: {defaultAction: Deny, ipRules: […]}`, or `defaultAction: Allow` for everybody",
            origin=document.place(("publicNetworkAccess",)),
        )
    if acls is None or spec.custom_sub_domain_name:
        return
    if acls.default_action == "Deny" or acls.ip_rules or acls.virtual_network_rules:
        yield Finding(
            code="subdomain_missing",
            message="networkAcls needs customSubDomainName; Azure refuses a firewall without it",
            hint=f"add `customSubDomainName: {document.ref.name.lower()}`, a name unique in the world",
            origin=document.place(("networkAcls",)),
        )


def _check_rules_twice(document: Document, spec: AccountSpec) -> Iterator[Finding]:
    acls = spec.network_acls
    if acls is None:
        return
    addresses = [each if isinstance(each, str) else each.value for each in acls.ip_rules or ()]
    subnets = [each if isinstance(each, str) else each.id for each in acls.virtual_network_rules or ()]
    for key, words in (("ipRules", addresses), ("virtualNetworkRules", subnets)):
        yield from check_repeats(f"networkAcls.{key}", words, _rules_at(document, key))


def _rules_at(document: Document, key: str) -> Callable[[int], Origin]:
    return lambda index: document.place(("networkAcls", key, index))


def _check_idle_rules(document: Document, spec: AccountSpec) -> Iterator[Finding]:
    """Rules of a firewall that nobody gets as far as, or that everybody passes by."""
    acls = spec.network_acls
    if acls is None:
        return
    if spec.public_network_access == "Disabled":
        why, hint = "publicNetworkAccess is Disabled", "remove them; whoever shall get in needs a private endpoint"
    elif acls.default_action == "Allow":
        why, hint = "defaultAction: Allow lets everybody in", "write `defaultAction: Deny`, or remove them"
    else:
        return
    for key, rules in (("ipRules", acls.ip_rules), ("virtualNetworkRules", acls.virtual_network_rules)):
        if rules:
            yield Finding(
                severity=Severity.WARNING,
                code="no_effect",
                message=f"networkAcls.{key} never act: {why}",
                hint=hint,
                origin=document.place(("networkAcls", key)),
            )


def _check_identity(document: Document, spec: AccountSpec) -> Iterator[Finding]:
    identity = spec.identity
    if identity is None:
        return
    named = bool(identity.user_assigned_identities)
    if "UserAssigned" in identity.type and not named:
        yield Finding(
            code="identity",
            message=f"identity.type {identity.type} names no identity",
            hint="add identity.userAssignedIdentities with at least one ARM id",
            origin=document.place(("identity", "type")),
        )
    if "UserAssigned" not in identity.type and named:
        both = "SystemAssigned, UserAssigned" if identity.type == "SystemAssigned" else "UserAssigned"
        yield Finding(
            code="identity",
            message=f"identity.type {identity.type} leaves no place for userAssignedIdentities",
            hint=f"write `type: {both}`, or remove the list",
            origin=document.place(("identity", "userAssignedIdentities")),
        )


def _check_filters(document: Document, spec: AccountSpec) -> Iterator[Finding]:
    for index, policy in enumerate(spec.rai_policies or ()):
        if policy.name.lower().startswith("microsoft."):
            yield Finding(
                code="name",
                message=f"the content filter {policy.name} would be one of Azure's own",
                hint="choose a name that does not begin with Microsoft.",
                origin=document.place(("raiPolicies", index, "name")),
            )
        filters = [(each.name.lower(), each.source) for each in policy.content_filters or ()]
        blocklists = [(each.blocklist_name.lower(), each.source) for each in policy.custom_blocklists or ()]
        for field, keys in (("contentFilters", filters), ("customBlocklists", blocklists)):
            for at in _repeats(keys):
                yield Finding(
                    code="duplicate_name",
                    message=f"{field} names {keys[at][0]} for {keys[at][1]} twice",
                    hint="keep one",
                    origin=document.place(("raiPolicies", index, field, at)),
                )


def _repeats(keys: Sequence[tuple[str, str]]) -> Iterator[int]:
    return (at for at, key in enumerate(keys) if key in keys[:at])


def _check_deployments(document: Document, spec: AccountSpec) -> Iterator[Finding]:
    filters = [each.name for each in spec.rai_policies or ()]
    names = [each.name for each in spec.deployments or ()]
    for index, each in enumerate(spec.deployments or ()):
        yield from _check_amount(document, index, each)
        yield from _check_pin(document, index, each)
        wanted = each.rai_policy_name
        if wanted and not wanted.lower().startswith("microsoft.") and not _has(filters, wanted):
            yield Finding(
                code="dangling",
                message=f"deployments[{each.name}].raiPolicyName names {wanted}, which raiPolicies does not declare",
                hint=_near(wanted, filters)
                or "declare it under raiPolicies, or name one of Azure's: Microsoft.DefaultV2",
                origin=document.place(("deployments", index, "raiPolicyName")),
            )
        other = each.spillover_deployment_name
        if other and (not _has(names, other) or other.lower() == each.name.lower()):
            rest = [name for name in names if name.lower() != each.name.lower()]
            yield Finding(
                code="dangling",
                message=f"deployments[{each.name}].spilloverDeploymentName names {other}, not another deployment here",
                hint=_near(other, rest) or "name another deployment of this account",
                origin=document.place(("deployments", index, "spilloverDeploymentName")),
            )


def _check_pin(document: Document, index: int, each: DeploymentSpec) -> Iterator[Finding]:
    """A version cannot be both kept and given up. To give it up when it expires is no contradiction: until then both
    say the same, and afterwards nobody can have it."""
    if each.model.version is not None and each.version_upgrade_option == "OnceNewDefaultVersionAvailable":
        yield Finding(
            severity=Severity.WARNING,
            code="contradiction",
            message=f"deployments[{each.name}] pins version {each.model.version}, and versionUpgradeOption "
            "OnceNewDefaultVersionAvailable lets Azure move it to another one",
            hint="write NoAutoUpgrade to keep the version, or leave model.version out to follow Azure's default",
            origin=document.place(("deployments", index, "versionUpgradeOption")),
        )


def _check_amount(document: Document, index: int, each: DeploymentSpec) -> Iterator[Finding]:
    """How much is said once: in Azure's units, or in tokens per minute where the type is sold by them."""
    sku = each.sku
    place = document.place(("deployments", index, "sku", "tpm" if sku.tpm else "name"))
    if sku.capacity is None and sku.tpm is None:
        yield Finding(
            code="missing",
            message=f"deployments[{each.name}].sku does not say how much",
            hint="add `capacity`, in Azure's units, or `tpm`, such as 300k",
            origin=place,
        )
    if sku.capacity is not None and sku.tpm is not None:
        yield Finding(
            code="contradiction",
            message=f"deployments[{each.name}].sku says capacity and tpm",
            hint="keep one of them",
            origin=place,
        )
    if sku.tpm is not None and ("Provisioned" in sku.name or "Batch" in sku.name):
        yield Finding(
            code="tpm_unsupported",
            message=f"deployments[{each.name}].sku.tpm: {sku.name} is not sold by tokens per minute",
            hint="write sku.capacity, in Azure's units",
            origin=place,
        )
    yield from _check_floor(document, index, each)


def _check_floor(document: Document, index: int, each: DeploymentSpec) -> Iterator[Finding]:
    """What takes what there is has a floor that is no higher than what it wants."""
    amounts: list[tuple[str, int, int]] = []
    if isinstance(each.sku.capacity, ElasticCapacitySpec):
        amounts.append(("capacity", each.sku.capacity.want, each.sku.capacity.min))
    if isinstance(each.sku.tpm, ElasticThroughputSpec):
        amounts.append(("tpm", read_tpm(each.sku.tpm.want), read_tpm(each.sku.tpm.min)))
    for name, want, least in amounts:
        path = f"deployments[{each.name}].sku.{name}"
        place = document.place(("deployments", index, "sku", name, "min"))
        if least < 1:
            yield Finding(
                code="value",
                message=f"{path}.min is {least}",
                hint="it must be at least 1: a deployment without capacity does not exist",
                origin=place,
            )
        elif least > want:
            yield Finding(
                code="contradiction",
                message=f"{path}.min is {least:,}, more than the {want:,} that it wants",
                hint="write a min at most want",
                origin=place,
            )


def _has(names: Iterable[str], name: str) -> bool:
    return name.lower() in {each.lower() for each in names}


def _near(word: str, known: Sequence[str]) -> str:
    near = get_close_matches(word, known, n=1)
    return f"did you mean {near[0]}?" if near else ""
