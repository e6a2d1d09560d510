"""Content filters of an account (ARM: raiPolicies), declared inside the Account document."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field as Described

from reconciler.kinds.base import Binding, Field, ResourceType, Shape
from reconciler.kinds.spec import Flag, Spec, Text
from reconciler.kinds.values import folded, one_of

_LEVEL = one_of("Low", "Medium", "High")

TYPE = ResourceType(
    arm_type="Microsoft.CognitiveServices/accounts/raiPolicies",
    word="content filter",
    binding=Binding(
        client="cognitiveservices",
        group="rai_policies",
        names=("resource_group_name", "account_name", "rai_policy_name"),
        get="get",
        put="create_or_update",
        body="rai_policy",
        delete="begin_delete",
        list_children="list",
    ),
    fields=(
        Field(path="basePolicyName", wire=("properties", "basePolicyName"), normal=folded),
        Field(
            path="mode",
            wire=("properties", "mode"),
            normal=one_of("Default", "Deferred", "Blocking", "Asynchronous_filter"),
        ),
        Field(
            path="contentFilters",
            wire=("properties", "contentFilters"),
            shape=Shape.KEYED,
            keys=("name", "source"),
            normal=_LEVEL,
        ),
        Field(
            path="customBlocklists",
            wire=("properties", "customBlocklists"),
            shape=Shape.KEYED,
            keys=("blocklistName", "source"),
        ),
    ),
    readonly=(("properties", "type"),),
    reserved="microsoft.",
    # Every account has them and quota hangs on none.
    on_demand=True,
)


class ContentFilterSpec(Spec):
    """One harm category, seen from the prompt or from the completion."""

    name: Annotated[Text, Described(description="Category: Hate, Sexual, Violence, Selfharm, Jailbreak, …")]
    source: Annotated[Literal["Prompt", "Completion"], Described(description="Which side is filtered.")]
    enabled: Annotated[Flag | None, Described(description="Whether the filter looks at all.")] = None
    blocking: Annotated[Flag | None, Described(description="Whether a match is refused or only annotated.")] = None
    severity_threshold: Annotated[
        Literal["Low", "Medium", "High"] | None, Described(description="From which severity on the filter acts.")
    ] = None


class BlocklistSpec(Spec):
    """A custom blocklist that the filter applies."""

    blocklist_name: Annotated[Text, Described(description="Name of a blocklist of the account.")]
    source: Annotated[Literal["Prompt", "Completion"], Described(description="Which side it applies to.")]
    blocking: Annotated[Flag | None, Described(description="Whether a match is refused.")] = None


class RaiPolicySpec(Spec):
    """A content filter of the account."""

    name: Annotated[
        Text,
        Described(
            description="Name that deployments refer to as raiPolicyName.",
            pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}$",
            json_schema_extra={"rule": "use up to 64 letters, digits, - _ . and begin with a letter or digit"},
        ),
    ]
    base_policy_name: Annotated[
        Text, Described(description="System policy it starts from, for example Microsoft.DefaultV2.")
    ]
    mode: Annotated[
        Literal["Default", "Deferred", "Blocking", "Asynchronous_filter"] | None,
        Described(description="Whether filtering holds up the answer."),
    ] = None
    content_filters: Annotated[
        list[ContentFilterSpec] | None,
        Described(description="Filters that differ from the base; the ones not named stay as they are."),
    ] = None
    custom_blocklists: Annotated[list[BlocklistSpec] | None, Described(description="Blocklists to apply.")] = None
