"""Quota: how much of which pools a region shall grant, and how much of them shall be left.

Azure grants quota to people who ask for it, so nothing of this is ever written: a document is held against what there
is, and whoever reads the plan is told. Stands for no ARM resource.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema
from pydantic import Field as Described

from reconciler.kinds.base import Document, Expansion, Kind, Setting
from reconciler.kinds.common import resolve_location
from reconciler.kinds.deployment import PROVISIONED, DeploymentType, read_tpm
from reconciler.kinds.scalars import Region
from reconciler.kinds.spec import Spec, Text, Whole, refuse
from reconciler.model.finding import Finding
from reconciler.model.ids import ArmId, Ref, fold_location
from reconciler.model.quota import Offer
from reconciler.model.wish import Amount, Measure, QuotaWish

_PROVIDER = "Microsoft.CognitiveServices"
_USAGE = r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$"
_TPM = r"^[0-9]+(\.[0-9]+)?[kM]?$"
_HEADROOM = r"^[0-9]{1,9}%?$"
_TPM_RULE = "write a number of tokens per minute, such as 450000, 450k or 1.5M"
_MOST = 100_000_000


def _check_headroom(text: str) -> str:
    number = int(text.rstrip("%"))
    if number == 0:
        raise refuse(f"{text} is no headroom", "write units such as 50 or a share such as 10%, or remove it")
    if text.endswith("%") and number > 100:
        raise refuse(f"{text} is more than there is", "it may be at most 100%")
    return text


def _or_number(pattern: str) -> WithJsonSchema:
    """Text that is mostly a bare number, which YAML and its editors take for one."""
    return WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": pattern}]})


class PoolModelSpec(Spec):
    """The model whose pool it is."""

    name: Annotated[Text, Described(min_length=1, description="The model's name.", examples=["gpt-4o"])]
    version: Annotated[
        Text | None,
        Described(
            min_length=1,
            description="The model's version, where versions have pools of their own; the region's default one when "
            "left out.",
            examples=['"2024-11-20"'],
        ),
    ] = None
    format: Annotated[
        Text, Described(min_length=1, description="Who the model is from; OpenAI for Azure OpenAI models.")
    ] = "OpenAI"


class PoolSkuSpec(Spec):
    """The deployment type whose pool it is."""

    name: Annotated[
        DeploymentType,
        Described(description="Deployment type."),
    ]


class PoolSpec(Spec):
    """One pool of the region: by the name of its usage, or by the model and the deployment type that draw on it."""

    usage: Annotated[
        Text | None,
        Described(
            description="Azure's name of the pool, in any case; `reconciler quota -v` lists those of a region.",
            examples=["OpenAI.GlobalStandard.gpt-4o"],
            pattern=_USAGE,
            json_schema_extra={
                "rule": "write it as `reconciler quota -v` does, such as OpenAI.GlobalStandard.gpt-4o",
                "needed": True,
            },
        ),
    ] = None
    model: Annotated[
        PoolModelSpec | None, Described(description="The model that draws on the pool, with sku instead of usage.")
    ] = None
    sku: Annotated[PoolSkuSpec | None, Described(description="The deployment type that draws on the pool.")] = None
    limit: Annotated[
        Whole | None,
        Described(
            ge=1,
            le=_MOST,
            description="The least that Azure shall grant, in capacity units; more is as good.",
            examples=["500"],
        ),
    ] = None
    tpm: Annotated[
        Annotated[Text, _or_number(_TPM)] | None,
        Described(
            description="The least that Azure shall grant in tokens per minute, instead of limit; the region's model "
            "list says how many units that is.",
            examples=["500k"],
            pattern=_TPM,
            json_schema_extra={"rule": _TPM_RULE},
        ),
    ] = None
    headroom: Annotated[
        Annotated[Text, AfterValidator(_check_headroom), _or_number(_HEADROOM)] | None,
        Described(
            description="What shall be left after every plan: capacity units, or a share of what Azure grants.",
            examples=["10%"],
            pattern=_HEADROOM,
            json_schema_extra={"rule": "write units such as 50 or a share such as 10%"},
        ),
    ] = None
    headroom_tpm: Annotated[
        Annotated[Text, _or_number(_TPM)] | None,
        Described(
            description="What shall be left after every plan in tokens per minute, instead of headroom.",
            examples=["50k"],
            pattern=_TPM,
            json_schema_extra={"rule": _TPM_RULE},
        ),
    ] = None


class QuotaSpec(Spec):
    """What a region shall grant of its pools of quota, and what shall be left of them. It is watched, never written."""

    location: Annotated[
        Region | None,
        Described(description="The region of the pools; the fleet's when left out.", examples=["swedencentral"]),
    ] = None
    pools: Annotated[
        list[PoolSpec],
        Described(
            description="The pools that matter; all others are nobody's business here.",
            examples=["[{usage: OpenAI.GlobalStandard.gpt-4o, limit: 500, headroom: 10%}]"],
        ),
    ]


def expand(document: Document, setting: Setting) -> Expansion:
    """A wish for every pool; the mistakes that no single field shows."""
    spec = document.spec
    assert isinstance(spec, QuotaSpec)
    region, findings = resolve_location(document, setting)
    pools = [*enumerate(spec.pools)]
    wrong = [finding for at, pool in pools for finding in _check_pool(pool, at, document)]
    # Also of which too much or too little is wanted: it may be declared twice all the same.
    told = [(at, pool) for at, pool in pools if region and not [*_check_name(pool)]]
    wishes = tuple(_wish(pool, at, document, setting, fold_location(region)) for at, pool in told)
    return Expansion(wishes=wishes, findings=(*findings, *_check_document(document, spec), *wrong))


def _wish(pool: PoolSpec, at: int, document: Document, setting: Setting, location: str) -> QuotaWish:
    place = (("locations", location), *_names(pool))
    named = ("usage",) if pool.usage else ("model",)
    offer = None
    if pool.model and pool.sku:
        offer = Offer(
            location=location,
            format=pool.model.format.lower(),
            model=pool.model.name.lower(),
            version=(pool.model.version or "").lower(),
            sku=pool.sku.name.lower(),
        )
    return QuotaWish(
        id=ArmId(subscription=setting.subscription, provider=_PROVIDER, segments=place),
        ref=Ref(kind=document.ref.kind, name=f"{document.ref.name}/{_say(pool)}"),
        origin=document.place(("pools", at, *named)),
        location=location,
        usage=pool.usage or "",
        offer=offer,
        limit=_limit(pool),
        headroom=_headroom(pool),
        labels=document.labels,
        lifecycle=document.lifecycle,
    )


def _names(pool: PoolSpec) -> tuple[tuple[str, str], ...]:
    """What tells a pool from all others of its region, as the end of an id."""
    if pool.model is None or pool.sku is None:
        return (("usages", pool.usage or ""),)
    model = ".".join(part for part in (pool.model.format, pool.model.name, pool.model.version) if part)
    return ("models", model), ("usages", pool.sku.name)


def _say(pool: PoolSpec) -> str:
    """What people call the pool: as the document does."""
    if pool.model is None or pool.sku is None:
        return pool.usage or ""
    return " ".join(part for part in (pool.model.name, pool.model.version, pool.sku.name) if part)


def _limit(pool: PoolSpec) -> Amount | None:
    if pool.tpm is not None:
        return Amount(number=read_tpm(pool.tpm), measure=Measure.TOKENS)
    return None if pool.limit is None else Amount(number=pool.limit)


def _headroom(pool: PoolSpec) -> Amount | None:
    if pool.headroom_tpm is not None:
        return Amount(number=read_tpm(pool.headroom_tpm), measure=Measure.TOKENS)
    if pool.headroom is None:
        return None
    measure = Measure.PERCENT if pool.headroom.endswith("%") else Measure.UNITS
    return Amount(number=int(pool.headroom.rstrip("%")), measure=measure)


# Code, field, what is wrong with its pool, what would be right.
_Mistake = tuple[str, str, str, str]


def _check_pool(pool: PoolSpec, at: int, document: Document) -> Iterator[Finding]:
    """Which pool it is, and what is wanted of it: each said once, and each said at all."""
    for code, key, message, hint in (*_check_name(pool), *_check_amounts(pool), *_check_tokens(pool)):
        place = document.place(("pools", at, key) if key else ("pools", at))
        yield Finding(code=code, message=f"pools[{at}] {message}", hint=hint, origin=place)


def _check_name(pool: PoolSpec) -> Iterator[_Mistake]:
    if pool.usage and (pool.model or pool.sku):
        beside = "model" if pool.model else "sku"
        yield "which_pool", beside, f"names a usage and a {beside}", "keep one: either tells which pool it is"
    elif pool.model and not pool.sku:
        yield "which_pool", "model", "has a model and no sku", "add sku, such as `sku: {name: GlobalStandard}`"
    elif pool.sku and not pool.model:
        yield "which_pool", "sku", "has a sku and no model", "add model, such as `model: {name: gpt-4o}`"
    elif not pool.usage and not pool.model:
        yield "which_pool", "", "does not say which pool it is", "add usage, or model and sku"


def _check_amounts(pool: PoolSpec) -> Iterator[_Mistake]:
    if pool.limit is not None and pool.tpm is not None:
        yield "two_amounts", "tpm", "has both limit and tpm", "keep one"
    if pool.headroom is not None and pool.headroom_tpm is not None:
        yield "two_amounts", "headroomTpm", "has both headroom and headroomTpm", "keep one"
    limit, headroom = _limit(pool), _headroom(pool)
    if limit is None and headroom is None:
        hint = "add limit or tpm for what Azure shall grant, headroom or headroomTpm for what shall be left"
        yield "no_amount", "", "wants nothing of its pool", hint
    elif limit and headroom and limit.measure is headroom.measure and headroom.number > limit.number:
        key = "headroom" if pool.headroom is not None else "headroomTpm"
        told = f"wants {headroom.number:,} left of a limit of {limit.number:,}"
        yield "headroom", key, told, "write less headroom, or a higher limit"


def _check_tokens(pool: PoolSpec) -> Iterator[_Mistake]:
    if pool.sku is None or pool.sku.name.lower() not in PROVISIONED:
        return
    for key, units, written in (("tpm", "limit", pool.tpm), ("headroomTpm", "headroom", pool.headroom_tpm)):
        if written is not None:
            told = f"counts tokens, and {pool.sku.name} is granted in throughput units"
            yield "unrated", key, told, f"write {units} in units instead"


def _check_document(document: Document, spec: QuotaSpec) -> Iterator[Finding]:
    """No pool at all; and what a document can wish for a resource, where there is none."""
    lifecycle = document.lifecycle
    if not spec.pools:
        yield Finding(
            code="no_pool",
            message="pools names no pool",
            hint="write each pool on a line of its own after `- `, or remove the document",
            origin=document.place(("pools",)),
        )
    for word, said in (
        ("adopt", lifecycle.adopt),
        ("preventDestroy", lifecycle.prevent_destroy),
        ("ignore", bool(lifecycle.ignore)),
        ("allow", bool(lifecycle.allow)),
    ):
        if said:
            yield Finding(
                code="no_effect",
                message=f"lifecycle.{word} says nothing about a Quota, of which nothing is ever written",
                hint="remove it",
                origin=document.origin,
            )


KIND = Kind(
    name="Quota",
    spec=QuotaSpec,
    types=(),
    expand=expand,
    summary="What a region shall grant of its pools of quota, and how much of them shall be left.",
)
