"""ModelPool: tokens per minute of a model, placed in whichever accounts of the fleet there is quota for them.

Stands for no resource by itself: which deployments it becomes is decided when Azure has been looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field as Described

from reconciler.kinds import deployment
from reconciler.kinds.base import Document, Expansion, Kind, Setting, declare
from reconciler.kinds.common import check_repeats, place_fields
from reconciler.kinds.deployment import DeploymentType, NamedModelSpec, read_tpm
from reconciler.kinds.pool_relations import relate
from reconciler.kinds.scalars import Region, TagName, TagValue
from reconciler.kinds.spec import Spec, Text, Whole
from reconciler.model.finding import Finding, Origin
from reconciler.model.ids import fold_location
from reconciler.model.wire import JsonObject
from reconciler.model.wish import PoolWish

# The regions of the data zones that data zone deployments keep to.
# https://learn.microsoft.com/azure/ai-foundry/foundry-models/concepts/deployment-types
ZONES: Mapping[str, frozenset[str]] = {
    "EU": frozenset(
        {
            "francecentral",
            "germanywestcentral",
            "italynorth",
            "northeurope",
            "polandcentral",
            "spaincentral",
            "swedencentral",
            "westeurope",
        }
    ),
    "US": frozenset(
        {
            "centralus",
            "eastus",
            "eastus2",
            "northcentralus",
            "southcentralus",
            "westcentralus",
            "westus",
            "westus2",
            "westus3",
        }
    ),
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}")


class PoolAccountsSpec(Spec):
    """Which accounts of the fleet the pool may use."""

    match_labels: Annotated[
        dict[str, Text],
        Described(
            description="Labels that an Account document must carry, all of them; {} means every account.",
            examples=["{serves: gpt-4o}"],
        ),
    ]


class ModelPoolSpec(Spec):
    """Tokens per minute of a model, placed within quota in the accounts of the fleet that carry some labels."""

    model: Annotated[NamedModelSpec, Described(description="The model it serves.")]
    tpm: Annotated[
        Text,
        Described(
            description="Tokens per minute that are wanted in all, such as 450k or 3M.",
            examples=["3M"],
            pattern=r"^[0-9]+(\.[0-9]+)?[kM]?$",
            json_schema_extra={"rule": "write a number of tokens per minute, such as 450000, 450k or 1.5M"},
        ),
    ]
    deployment_types: Annotated[
        list[DeploymentType],
        Described(
            min_length=1,
            description="Deployment types that may be used, the one that is liked best first. Only those that are sold "
            "by tokens per minute.",
            examples=["[DataZoneStandard, Standard]"],
        ),
    ]
    accounts: Annotated[PoolAccountsSpec, Described(description="Which accounts of the fleet may be used.")]
    regions: Annotated[
        list[Region] | None,
        Described(
            min_length=1,
            description="Regions that may be used; every region of its accounts that offers the model when left out.",
            examples=["[swedencentral, westeurope]"],
        ),
    ] = None
    data_zone: Annotated[
        Literal["EU", "US"] | None,
        Described(description="Keep to this data zone: no regions outside of it, no global deployment types."),
    ] = None
    max_share_per_region: Annotated[
        Whole | None,
        Described(ge=1, le=100, description="The most of tpm that one region may have, in percent.", examples=["60"]),
    ] = None
    min_regions: Annotated[
        Whole | None, Described(ge=1, description="How many regions must have some of it at least.", examples=["2"])
    ] = None
    deployment_name: Annotated[
        Text | None,
        Described(
            description="Name of its deployments, where there is one deployment type; the pool's name and the type in "
            "lower case when left out.",
            examples=["gpt-4o"],
            pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}$",
            json_schema_extra={"rule": "use up to 64 letters, digits, - _ . and begin with a letter or digit"},
        ),
    ] = None
    rai_policy_name: Annotated[
        Text | None,
        Described(description="Content filter: one that each of its accounts declares, or a Microsoft.* one."),
    ] = None
    version_upgrade_option: Annotated[
        Literal["OnceNewDefaultVersionAvailable", "OnceCurrentVersionExpired", "NoAutoUpgrade"] | None,
        Described(description="When Azure may move its deployments to another model version by itself."),
    ] = None
    tags: Annotated[dict[TagName, TagValue | None] | None, Described(description="Tags of its deployments.")] = None


def expand(document: Document, setting: Setting) -> Expansion:
    """The wish, as far as it can be said without looking at other documents."""
    spec = document.spec
    assert isinstance(spec, ModelPoolSpec)
    pool = setting.name_of(document.ref)
    names: dict[str, str] = {sku: spec.deployment_name or _name(pool, sku) for sku in spec.deployment_types}
    zone = ZONES.get(spec.data_zone or "")
    named = tuple(fold_location(each) for each in spec.regions or ())
    regions = frozenset(named) or zone
    said = spec.written()
    written: JsonObject = {
        "model": {"format": spec.model.format, **spec.model.written()},
        **{key: said[key] for key in ("raiPolicyName", "versionUpgradeOption", "tags") if key in said},
    }
    fields = declare(deployment.TYPE, written)
    wish = PoolWish(
        ref=document.ref,
        origin=document.origin,
        tokens=read_tpm(spec.tpm),
        format=spec.model.format.lower(),
        model=spec.model.name.lower(),
        version=(spec.model.version or "").lower(),
        skus=tuple(dict.fromkeys(spec.deployment_types)),
        names=names,
        left={} if spec.deployment_name else {sku: _name(pool, sku) for sku in deployment.SKUS if sku not in names},
        match=spec.accounts.match_labels,
        labels=document.labels,
        regions=None if regions is None else tuple(sorted(regions & zone if zone else regions)),
        named=named,
        most_share=spec.max_share_per_region or 100,
        least_regions=spec.min_regions or 1,
        fields=fields,
        lifecycle=document.lifecycle,
        origins={
            **place_fields(document, fields),
            **{path: document.place(keys) for path, keys in _PLACES.items()},
            **{f"regions.{at}": document.place(("regions", at)) for at in range(len(named))},
        },
    )
    return Expansion(wishes=(wish,), findings=tuple(_check(document, spec, wish)))


def _name(pool: str, sku: str) -> str:
    return f"{pool}-{sku.lower()}"


_PLACES: Mapping[str, tuple[str, ...]] = {
    "sku.name": ("deploymentTypes",),
    "sku.capacity": ("tpm",),
    "accounts": ("accounts", "matchLabels"),
    "deploymentName": ("deploymentName",),
    "maxSharePerRegion": ("maxSharePerRegion",),
    "minRegions": ("minRegions",),
    "name": (),
}


def _check(document: Document, spec: ModelPoolSpec, wish: PoolWish) -> Iterator[Finding]:
    """What the types of the spec cannot say."""
    if wish.tokens < 1:
        yield Finding(
            code="value",
            message="tpm is 0",
            hint="it must be at least 1; remove the document where nothing is wanted",
            origin=document.place(("tpm",)),
        )
    yield from check_repeats("deploymentTypes", spec.deployment_types, _at(document, "deploymentTypes"))
    for at, sku in enumerate(spec.deployment_types):
        yield from _check_type(sku, spec.data_zone, document.place(("deploymentTypes", at)))
    if spec.deployment_name and len(wish.skus) > 1:
        yield Finding(
            code="contradiction",
            message="deploymentName names one deployment, and there are "
            f"{len(wish.skus)} deployment types, which can be side by side in one account",
            hint="remove it, or keep one deployment type",
            origin=document.place(("deploymentName",)),
        )
    wrong = next((name for name in wish.names.values() if not _NAME.fullmatch(name)), "")
    if wrong:
        yield Finding(
            code="name",
            message=f"its deployments would be called {wrong!r}, which Azure does not take",
            hint="use up to 64 letters, digits, - _ . in all and begin with a letter or digit; or write deploymentName",
            origin=document.name_origin,
        )
    yield from _check_regions(document, spec)


def _check_type(sku: str, zone: str | None, place: Origin) -> Iterator[Finding]:
    if sku.lower() in deployment.PROVISIONED:
        yield Finding(
            code="tpm_unsupported",
            message=f"deploymentTypes names {sku}, which is sold by the hour in throughput units and has no tokens per "
            "minute",
            hint="declare such a deployment in its Account document, and name types that are sold by tokens here",
            origin=place,
        )
    elif "Batch" in sku:
        yield Finding(
            code="tpm_unsupported",
            message=f"deploymentTypes names {sku}, whose quota is enqueued tokens and not tokens per minute",
            hint="declare such a deployment in its Account document, and name types that are sold by tokens here",
            origin=place,
        )
    elif zone and sku.startswith("Global"):
        yield Finding(
            code="residency",
            message=f"deploymentTypes names {sku}, which may serve a request anywhere in the world, and dataZone keeps "
            f"it in the {zone}",
            hint="name DataZoneStandard or Standard, or remove dataZone",
            origin=place,
        )


def _check_regions(document: Document, spec: ModelPoolSpec) -> Iterator[Finding]:
    folded = [fold_location(each) for each in spec.regions or ()]
    yield from check_repeats("regions", folded, _at(document, "regions"))
    zone = ZONES.get(spec.data_zone or "", frozenset())
    for at, each in enumerate(folded):
        if zone and each not in zone:
            yield Finding(
                code="residency",
                message=f"regions names {each}, which is not in the {spec.data_zone} data zone",
                hint=f"remove it, or dataZone; regions of the zone are {', '.join(sorted(zone))}",
                origin=document.place(("regions", at)),
            )


def _at(document: Document, key: str) -> Callable[[int], Origin]:
    return lambda at: document.place((key, at))


KIND = Kind(
    name="ModelPool",
    spec=ModelPoolSpec,
    types=(),
    expand=expand,
    summary="Tokens per minute of a model, placed within quota in the accounts that carry some labels.",
    relate_wishes=relate,
)
