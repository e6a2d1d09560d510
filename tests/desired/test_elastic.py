"""Capacities between a wish and a floor, as documents say them."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.model.resource import Throughput
from tests.desired.test_schema import deploy, wanted
from tests.desired.trees import account, load, tell

TOKENS = "write a number of tokens per minute, such as 450000, 450k or 1.5M"


def test_a_capacity_has_a_wish_and_a_floor(tmp_path: Path) -> None:
    estate = load(tmp_path, account(spec=deploy(sku="name: Standard, capacity: {want: 300, min: 50}")))
    found = wanted(estate, "Account/aoai/deployments/d")
    assert (found.fields["sku.capacity"], found.floor) == (300, 50)


def test_tokens_per_minute_have_a_wish_and_a_floor(tmp_path: Path) -> None:
    estate = load(tmp_path, account(spec=deploy(sku="name: Standard, tpm: {want: 0.3M, min: 50k}")))
    found = wanted(estate, "Account/aoai/deployments/d")
    assert isinstance(found.throughput, Throughput)
    assert (found.throughput.tokens_per_minute, found.throughput.least, found.floor) == (300_000, 50_000, None)
    assert "sku.capacity" not in found.fields


@pytest.mark.parametrize(
    ("sku", "finding"),
    [
        (
            "capacity: {want: 50, min: 300}",
            "deployments[d].sku.capacity.min is 300, more than the 50 that it wants (write a min at most want)",
        ),
        (
            "tpm: {want: 50k, min: 0.3M}",
            "deployments[d].sku.tpm.min is 300,000, more than the 50,000 that it wants (write a min at most want)",
        ),
        (
            "capacity: {want: 50, min: 0}",
            "deployments[d].sku.capacity.min is 0 (it must be at least 1)",
        ),
        (
            "tpm: {want: 50k, min: 0k}",
            "deployments[d].sku.tpm.min is 0 (it must be at least 1: a deployment without capacity does not exist)",
        ),
        (
            "capacity: {want: 50}",
            "deployments[d].sku.capacity.min is missing (add `min: …` under deployments[d].sku.capacity)",
        ),
        (
            "capacity: {want: 50, least: 5, min: 5}",
            "unknown field least in deployments[d].sku.capacity (known fields: want, min)",
        ),
        (
            "capacity: {want: 50, min: '5'}",
            "deployments[d].sku.capacity.min must be a whole number, not quoted text (remove the quotes: `min: 5`)",
        ),
        (
            "capacity: [5, 50]",
            "deployments[d].sku.capacity must be a whole number, not a list (write its fields below it: want, min)",
        ),
        (
            "capacity: 0",
            "deployments[d].sku.capacity is 0 (it must be at least 1)",
        ),
        (
            "tpm: fast",
            f"deployments[d].sku.tpm cannot be 'fast' ({TOKENS})",
        ),
        (
            "tpm: {want: fast, min: 5k}",
            f"deployments[d].sku.tpm.want cannot be 'fast' ({TOKENS})",
        ),
        (
            "capacity: {want: 50, min: 5}, tpm: 50k",
            "deployments[d].sku says capacity and tpm (keep one of them)",
        ),
    ],
)
def test_each_mistake_is_one_sentence_at_its_place(tmp_path: Path, sku: str, finding: str) -> None:
    estate = load(tmp_path, account(spec=deploy(sku=f"name: Standard, {sku}")))
    (told,) = tell(estate, tmp_path)
    place, _, sentence = told.partition(": error: ")
    assert sentence == finding
    assert place.startswith("all.yaml:9:")


def test_provisioned_types_are_not_sold_by_tokens_whatever_their_floor(tmp_path: Path) -> None:
    estate = load(tmp_path, account(spec=deploy(sku="name: ProvisionedManaged, tpm: {want: 50k, min: 5k}")))
    (told,) = tell(estate, tmp_path)
    assert "deployments[d].sku.tpm: ProvisionedManaged is not sold by tokens per minute" in told
