"""Model deployments of an account: one ARM child type, declared inside the Account document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from pydantic import Field as Described

from reconciler.kinds.base import Binding, Field, Patience, ResourceType, Shape, once
from reconciler.kinds.common import Unknowns
from reconciler.kinds.scalars import TagName, TagValue
from reconciler.kinds.spec import Flag, Spec, Text, Whole
from reconciler.kinds.values import folded, one_of, whole_number
from reconciler.model.ids import ArmId, fold_location
from reconciler.model.plan import FieldChange
from reconciler.model.quota import Holding, Offer
from reconciler.model.resource import Live
from reconciler.model.wire import Json

DeploymentType = Literal[
    "Standard",
    "GlobalStandard",
    "DataZoneStandard",
    "ProvisionedManaged",
    "GlobalProvisionedManaged",
    "DataZoneProvisionedManaged",
    "GlobalBatch",
    "DataZoneBatch",
    "DeveloperTier",
]
SKUS: tuple[str, ...] = get_args(DeploymentType)
PROVISIONED = frozenset(sku.lower() for sku in SKUS if "Provisioned" in sku)
# https://learn.microsoft.com/azure/ai-services/openai/quotas-limits: standard deployments per resource.
STANDARD_PER_ACCOUNT = 32


def is_standard(sku: str) -> bool:
    """Whether a type counts as a standard deployment: in one region, in a data zone, or everywhere."""
    return sku.lower().endswith("standard")


def _shrinks(before: Json, after: Json) -> bool:
    return isinstance(before, int) and isinstance(after, int) and after < before


def split_capacity(changes: tuple[FieldChange, ...]) -> tuple[tuple[str, ...], ...]:
    """Azure refuses capacity and model in one request: shrink before the model moves, grow after it has."""
    capacity = tuple(change for change in changes if change.path == "sku.capacity")
    rest = tuple(change.path for change in changes if change.path != "sku.capacity")
    if not capacity or not any(path.startswith("model.") for path in rest):
        return (tuple(change.path for change in changes),)
    if _shrinks(capacity[0].before, capacity[0].after):
        return ("sku.capacity",), rest
    return rest, ("sku.capacity",)


def count_provisioned(fields: Mapping[str, Json]) -> int:
    """Provisioned throughput units, which are billed by the hour whether used or not."""
    capacity = fields.get("sku.capacity")
    if str(fields.get("sku.name", "")).lower() not in PROVISIONED:
        return 0
    return capacity if isinstance(capacity, int) else 1


TYPE = ResourceType(
    arm_type="Microsoft.CognitiveServices/accounts/deployments",
    word="deployment",
    binding=Binding(
        client="cognitiveservices",
        group="deployments",
        names=("resource_group_name", "account_name", "deployment_name"),
        get="get",
        put="begin_create_or_update",
        body="deployment",
        delete="begin_delete",
        list_children="list",
    ),
    fields=(
        Field(path="model.format", wire=("properties", "model", "format"), normal=one_of("OpenAI"), effect=once),
        Field(path="model.name", wire=("properties", "model", "name"), normal=folded, effect=once),
        Field(path="model.version", wire=("properties", "model", "version"), normal=folded),
        Field(path="model.publisher", wire=("properties", "model", "publisher"), normal=folded, effect=once),
        Field(path="model.source", wire=("properties", "model", "source"), normal=folded, effect=once),
        Field(
            path="model.sourceAccount",
            wire=("properties", "model", "sourceAccount"),
            normal=folded,
            effect=once,
        ),
        Field(path="sku.name", wire=("sku", "name"), normal=one_of(*SKUS), effect=once),
        Field(path="sku.capacity", wire=("sku", "capacity"), normal=whole_number, default=1, cuts=_shrinks),
        Field(
            path="versionUpgradeOption",
            wire=("properties", "versionUpgradeOption"),
            normal=one_of("OnceNewDefaultVersionAvailable", "OnceCurrentVersionExpired", "NoAutoUpgrade"),
            default="OnceNewDefaultVersionAvailable",
        ),
        Field(path="raiPolicyName", wire=("properties", "raiPolicyName"), normal=folded, refers="raiPolicies"),
        Field(path="dynamicThrottlingEnabled", wire=("properties", "dynamicThrottlingEnabled"), default=False),
        Field(
            path="spilloverDeploymentName",
            wire=("properties", "spilloverDeploymentName"),
            normal=folded,
            refers="deployments",
        ),
        Field(path="tags", wire=("tags",), shape=Shape.MAP, whole=("tags",)),
    ),
    readonly=(
        ("properties", "currentCapacity"),
        ("properties", "capabilities"),
        ("properties", "rateLimits"),
        ("properties", "ratelimits"),
        ("properties", "callRateLimit"),
        ("properties", "deploymentState"),
        ("properties", "model", "callRateLimit"),
    ),
    patience=Patience(usual_create=5, usual_update=5),
    split=split_capacity,
    billed=count_provisioned,
    outlasts=True,
)


_HELD = ("model.format", "model.name", "model.version", "sku.name", "sku.capacity")
_LENSES = {
    path: TYPE.lens(path) for path in _HELD
}  # looked up once: every deployment of a subscription is read by them


def read_held(live: Live) -> dict[str, Json]:
    """The values of a live deployment that say what quota it holds."""
    return {path: lens.read(live.wire) for path, lens in _LENSES.items()}


def make_holding(id: ArmId, values: Mapping[str, Json], location: str) -> Holding:
    """What a deployment with these values holds in a region."""
    format_, model, version, sku = (str(values.get(path) or "").lower() for path in _HELD[:4])
    capacity = values.get("sku.capacity")
    offer = Offer(location=fold_location(location), format=format_, model=model, version=version, sku=sku)
    return Holding(id=id, offer=offer, units=capacity if isinstance(capacity, int) else 1)


def read_holding(live: Live, location: str) -> Holding:
    return make_holding(live.id, read_held(live), location)


def read_tpm(text: str) -> int:
    """Tokens per minute from `450000`, `450k` or `1.5M`; the text has matched the spec's pattern."""
    scale = {"k": 1_000, "M": 1_000_000}.get(text[-1], 1)
    return round(float(text.rstrip("kM")) * scale)


class NamedModelSpec(Spec):
    """A model that is served, by its name and version."""

    format: Annotated[Text, Described(description="Who the model is from; OpenAI for Azure OpenAI models.")] = "OpenAI"
    name: Annotated[Text, Described(description="The model's name.", examples=["gpt-4o"])]
    version: Annotated[
        Text | None,
        Described(
            description="The model's version. Left out, Azure picks its default and the version is not managed.",
            examples=['"2024-11-20"'],
        ),
    ] = None


class ModelSpec(NamedModelSpec):
    """The model a deployment serves."""

    publisher: Annotated[Text | None, Described(description="Publisher of a model that is not OpenAI's.")] = None
    source: Annotated[Text | None, Described(description="ARM id of a fine-tuned model's source deployment.")] = None
    source_account: Annotated[
        Text | None, Described(description="ARM id of the account a fine-tuned model comes from.")
    ] = None


_Units = Annotated[Whole, Described(ge=1, le=100_000_000)]
_Tokens = Annotated[Text, Described(pattern=r"^[0-9]+(\.[0-9]+)?[kM]?$")]
_TOKENS_RULE = "write a number of tokens per minute, such as 450000, 450k or 1.5M"


class ElasticCapacitySpec(Spec):
    """A capacity that takes what quota there is, in whole steps, and grows when there is more."""

    want: Annotated[_Units, Described(description="How much it shall have, in Azure's units.", examples=["300"])]
    min: Annotated[_Units, Described(description="The least that will do; it is never brought below.", examples=["50"])]


class ElasticThroughputSpec(Spec):
    """Tokens per minute that take what quota there is, in whole units, and grow when there is more."""

    want: Annotated[
        _Tokens,
        Described(
            description="How many tokens per minute it shall have.",
            examples=["300k"],
            json_schema_extra={"rule": _TOKENS_RULE},
        ),
    ]
    min: Annotated[
        _Tokens,
        Described(
            description="The least that will do; it is never brought below.",
            examples=["50k"],
            json_schema_extra={"rule": _TOKENS_RULE},
        ),
    ]


class DeploymentSkuSpec(Spec):
    """How the deployment is served and how much of it."""

    name: Annotated[
        DeploymentType,
        Described(description="Deployment type. It cannot be changed in place."),
    ]
    capacity: Annotated[
        _Units | ElasticCapacitySpec | None,
        Described(
            examples=["300"],
            json_schema_extra={"needed": True},
            description="Azure's capacity units: often 1,000 tokens per minute, for provisioned types PTUs. "
            "`{want: 300, min: 50}` takes what quota there is, and grows when there is more.",
        ),
    ] = None
    tpm: Annotated[
        _Tokens | ElasticThroughputSpec | None,
        Described(
            description="Tokens per minute instead of capacity, such as 300k or 1.5M, or `{want: 300k, min: 50k}`; the "
            "region's model list says how many units that is.",
            examples=["300k"],
            json_schema_extra={"rule": _TOKENS_RULE},
        ),
    ] = None


class DeploymentSpec(Spec):
    """A model deployment of the account."""

    name: Annotated[
        Text,
        Described(
            description="The deployment's name, as clients address it.",
            examples=["gpt-4o"],
            pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}$",
            json_schema_extra={"rule": "use up to 64 letters, digits, - _ . and begin with a letter or digit"},
        ),
    ]
    model: Annotated[ModelSpec, Described(description="The model it serves.")]
    sku: Annotated[DeploymentSkuSpec, Described(description="The deployment type, and how much of it.")]
    version_upgrade_option: Annotated[
        Literal["OnceNewDefaultVersionAvailable", "OnceCurrentVersionExpired", "NoAutoUpgrade"] | None,
        Described(description="When Azure may move the deployment to another model version by itself."),
    ] = None
    rai_policy_name: Annotated[
        Text | None, Described(description="Content filter: one of raiPolicies, or a Microsoft.* one.")
    ] = None
    dynamic_throttling_enabled: Annotated[
        Flag | None, Described(description="Whether Azure may throttle dynamically.")
    ] = None
    spillover_deployment_name: Annotated[
        Text | None, Described(description="Deployment that takes what this one cannot.")
    ] = None
    tags: Annotated[dict[TagName, TagValue | None] | None, Described(description="Tags of the deployment.")] = None
    additional_properties: Unknowns = None
