"""Fleet: the defaults and the permissions of everything in its directory. It stands for no ARM resource."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field as Described
from pydantic import JsonValue

from reconciler.kinds.scalars import (
    AccountPattern,
    Cron,
    Duration,
    GroupName,
    Guid,
    Party,
    Region,
    TagName,
    TagValue,
    TimeZone,
)
from reconciler.kinds.spec import Flag, Permission, Spec, Text, Whole

_URL = r"^https://[^/\s]+(/\S*)?$"
_URL_RULE: dict[str, JsonValue] = {"rule": "write an https:// address"}


class CloudSpec(Spec):
    """A cloud by its endpoints: sovereign, private, or a simulation."""

    endpoint: Annotated[
        Text, Described(description="URL of Azure Resource Manager.", pattern=_URL, json_schema_extra=_URL_RULE)
    ]
    authority: Annotated[Text, Described(description="URL of Entra ID.", pattern=_URL, json_schema_extra=_URL_RULE)]
    audience: Annotated[Text | None, Described(description="Token audience; the endpoint when left out.")] = None


class CredentialSpec(Spec):
    """Who the reconciler is in this fleet's tenant. A secret is named by its environment variable, never written."""

    type: Annotated[
        Literal["default", "workloadIdentity", "clientSecret", "managedIdentity", "azureCli"],
        Described(description="How a token is obtained; default tries the usual ones in turn."),
    ] = "default"
    client_id: Annotated[Text | None, Described(description="Application (client) id.")] = None
    secret_variable: Annotated[
        Text | None,
        Described(description="Environment variable that holds the client secret; AZURE_CLIENT_SECRET when left out."),
    ] = None
    token_file: Annotated[Text | None, Described(description="File of the federated token for workload identity.")] = (
        None
    )


class PruneSpec(Spec):
    """Whether what nobody declares any more may be deleted. All off by default."""

    accounts: Annotated[Flag, Described(description="Accounts that carry this fleet's tag and are not declared.")] = (
        False
    )
    deployments: Annotated[Flag, Described(description="Undeclared deployments of owned accounts.")] = False
    rai_policies: Annotated[Flag, Described(description="Undeclared content filters of owned accounts.")] = False
    network_security_groups: Annotated[
        Flag, Described(description="Security groups that carry this fleet's tag and are not declared.")
    ] = False
    virtual_networks: Annotated[
        Flag, Described(description="Virtual networks that carry this fleet's tag and are not declared.")
    ] = False
    subnets: Annotated[Flag, Described(description="Undeclared subnets of owned virtual networks.")] = False
    private_endpoints: Annotated[
        Flag, Described(description="Private endpoints that carry this fleet's tag and are not declared.")
    ] = False
    private_dns_zones: Annotated[
        Flag, Described(description="Private DNS zones that carry this fleet's tag and are not declared.")
    ] = False
    virtual_network_links: Annotated[Flag, Described(description="Undeclared links of owned private DNS zones.")] = (
        False
    )


class CapSpec(Spec):
    """A limit per run; the smaller of both counts, the percentage rounded up."""

    count: Annotated[Whole, Described(ge=0, description="Most resources in one run.")]
    percent: Annotated[Whole, Described(ge=0, le=100, description="Most of the owned resources, in percent.")] = 100


class PurgeSpec(Spec):
    """Which soft-deleted accounts may be purged for what they hold. It needs the permission `purge` as well."""

    policy: Annotated[
        Literal["never", "blocking", "always"],
        Described(
            description="never; blocking: only those that hold a name or quota that the plan needs, one after the "
            "other and no more than it takes; always: every one that may be."
        ),
    ]
    names: Annotated[
        list[AccountPattern] | None,
        Described(
            description="Accounts that may be purged besides those that carried this fleet's tag, by name; * and ? "
            "stand for anything. One that carried the tag of another fleet never may.",
            examples=["[aoai-old-*]"],
        ),
    ] = None
    minimum_age: Annotated[
        Duration, Described(description="How long ago it must have been deleted, such as 90m, 24h or 2d.")
    ] = "1h"
    most: Annotated[Whole, Described(ge=1, description="Most of these purges in one run.")] = 3


class LimitsSpec(Spec):
    """How much one run may do before it stops and asks for a person."""

    deletes: Annotated[
        CapSpec | None,
        Described(description="Deletes, replacements, and purges by softDeleted; 5 and 20 % when left out."),
    ] = None
    changes: Annotated[
        CapSpec | None, Described(description="Changes of existing resources; 100 and 100 % when left out.")
    ] = None


class WindowSpec(Spec):
    """Hours that come again."""

    start: Annotated[
        Cron,
        Described(
            description="When they begin: minute, hour, day, month, weekday as in crontab(5).",
            examples=["0 22 * * mon-fri"],
        ),
    ]
    duration: Annotated[Duration, Described(description="How long they last, such as 90m, 6h or 2d.")]


class MaintenanceSpec(Spec):
    """At what hours this fleet is written to. What differs at other hours is told and waits."""

    time_zone: Annotated[
        TimeZone, Described(description="Time zone of all hours, by its IANA name.", examples=["Europe/Stockholm"])
    ] = "UTC"
    allow: Annotated[
        list[WindowSpec] | None,
        Described(min_length=1, description="Write only within these; at any hour when left out."),
    ] = None
    deny: Annotated[list[WindowSpec] | None, Described(description="Never write within these, allowed or not.")] = None


class SubscriptionQuotaSpec(Spec):
    """What the fleet wants of the quota of its subscription as a whole."""

    tier_upgrade: Annotated[
        Literal["OnceUpgradeIsAvailable", "NoAutoUpgrade"],
        Described(
            description="Whether Azure may move the subscription to a higher quota tier by itself, which raises limits "
            "and never lowers one. One setting for the whole subscription."
        ),
    ]
    policy: Annotated[
        Literal["manage", "observe"],
        Described(description="manage writes it; observe reports that it is another and never writes."),
    ] = "manage"


class FleetSpec(Spec):
    """Defaults and permissions of every document in this directory and below, down to the next Fleet."""

    subscription: Annotated[Guid, Described(description="Subscription id.", examples=["${AZURE_SUBSCRIPTION_ID}"])]
    tenant: Annotated[Text | None, Described(description="Tenant id; AZURE_TENANT_ID when left out.")] = None
    cloud: Annotated[
        Literal["public", "usgovernment", "china"] | CloudSpec | None,
        Described(description="Which Azure; public when left out."),
    ] = None
    credential: Annotated[CredentialSpec | None, Described(description="How to sign in.")] = None
    resource_group: Annotated[GroupName | None, Described(description="Default resource group.")] = None
    location: Annotated[Region | None, Described(description="Default region.")] = None
    tags: Annotated[
        dict[TagName, TagValue] | None, Described(description="Tags of every resource that can carry them.")
    ] = None
    adoption: Annotated[
        Literal["declared", "all"],
        Described(
            description="Which existing resources may be taken over: those whose document says lifecycle.adopt, or all."
        ),
    ] = "declared"
    prune: Annotated[PruneSpec | None, Described(description="Deleting what is no longer declared.")] = None
    soft_deleted: Annotated[
        Literal["stop", "restore", "purge"],
        Described(description="What to do when a soft-deleted account holds a wanted name."),
    ] = "stop"
    purge: Annotated[
        Literal["never", "blocking", "always"] | PurgeSpec | None,
        Described(
            description="Whether soft-deleted accounts are purged for the names and the quota that they hold; never "
            "when left out. A word, or a mapping that begins with policy."
        ),
    ] = None
    allow: Annotated[list[Permission] | None, Described(description="Dangerous actions that are permitted.")] = None
    allow_empty: Annotated[
        Flag, Described(description="Permit a fleet that declares no account although it owns some.")
    ] = False
    never_cut_off: Annotated[
        list[Party] | None,
        Described(
            description="Who must keep what they reach: IPv4 addresses and networks, subnets as network/subnet or by "
            "ARM id. A change that would take from one of them an account that they reach now is refused.",
            examples=["[203.0.113.0/24, vnet-ai/app]"],
        ),
    ] = None
    limits: Annotated[LimitsSpec | None, Described(description="Safety limits per run.")] = None
    maintenance: Annotated[
        MaintenanceSpec | None, Described(description="At what hours writes are made; at any hour when left out.")
    ] = None
    quota: Annotated[
        SubscriptionQuotaSpec | None,
        Described(description="The quota tier of the subscription; left alone when left out."),
    ] = None
