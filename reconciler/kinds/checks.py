"""What a typed spec cannot say by its types alone: findings about values that Azure would refuse or nobody can mean."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.kinds.base import Document, Setting
from reconciler.model.finding import Finding


def check_account(document: Document, setting: Setting) -> tuple[Finding, ...]:
    """Everything wrong with an Account document beyond its types."""
    return tuple(_check_group(document, setting))


def _check_group(document: Document, setting: Setting) -> Iterator[Finding]:
    if not getattr(document.spec, "resource_group", None) and not setting.group:
        yield Finding(
            code="resource_group_missing",
            message=f"{document.ref} has no resource group and its Fleet has no default",
            hint="add spec.resourceGroup here or in the Fleet",
            origin=document.origin,
        )
