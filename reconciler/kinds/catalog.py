"""Every kind there is, in one explicit tuple. A new kind is one file and one line here."""

from __future__ import annotations

from reconciler.kinds import (
    account,
    model_pool,
    network_security_group,
    private_dns_zone,
    private_endpoint,
    quota,
    quota_tier,
    resource_group,
    virtual_network,
)
from reconciler.kinds.base import Kind, ResourceType

KINDS: tuple[Kind, ...] = (
    resource_group.KIND,
    network_security_group.KIND,
    virtual_network.KIND,
    private_dns_zone.KIND,
    account.KIND,
    private_endpoint.KIND,
    model_pool.KIND,
    quota.KIND,
)

# What documents stand for, and what only a Fleet speaks of.
TYPES: tuple[ResourceType, ...] = (*(type_ for kind in KINDS for type_ in kind.types), quota_tier.TYPE)

_BY_ARM_TYPE = {type_.arm_type.lower(): type_ for type_ in TYPES}
_BY_TOP = {kind.types[0].arm_type.lower(): kind for kind in KINDS if kind.types}
_BY_NAME = {kind.name: kind for kind in KINDS}

if len(_BY_ARM_TYPE) != len(TYPES) or len(_BY_NAME) != len(KINDS):
    raise ImportError("two kinds claim the same name or the same ARM type")


def type_of(arm_type: str) -> ResourceType | None:
    """The table of an ARM type in any case, or None for a type that no kind knows."""
    return _BY_ARM_TYPE.get(arm_type.lower())


def kind_named(name: str) -> Kind | None:
    return _BY_NAME.get(name)


def kind_of(arm_type: str) -> Kind | None:
    """The kind whose documents stand for resources of this top-level ARM type."""
    return _BY_TOP.get(arm_type.lower())
