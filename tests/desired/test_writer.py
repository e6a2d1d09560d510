"""What is written reads back exactly, and no other YAML reader takes its texts for anything else."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from reconciler.desired import load_estate
from reconciler.desired.source import read_text
from reconciler.desired.template import fill
from reconciler.desired.writer import write_documents
from reconciler.kinds.spec import Free
from reconciler.model.wire import Json, JsonObject
from tests.desired.trees import FLEET, plant

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
WORDS = "0613 on no null ~ 2024-11-20 1e3 010 1:30 true << ${X} $${X} ${ # y N = &a *a !a %a @a `a` ' 0x1F .5 -.inf ? -"
TRAPS = st.sampled_from((*WORDS.split(" "), "", '"', "- a", "a: b", "\t", "a\nb", "  "))
SCALARS = st.one_of(
    TEXT, TRAPS, st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False)
)
VALUES: st.SearchStrategy[Json] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT | TRAPS, inner, max_size=4),
    max_leaves=12,
)


def read_back(text: str) -> list[object]:
    file = read_text(text, "f.yaml", Path("/d"))
    assert file.findings == ()
    documents = [fill(document, {}) for document in file.documents]
    assert [finding for document in documents for finding in document.findings] == []
    return [TypeAdapter(Free).validate_python(document.content) for document in documents]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["x", "y"]), VALUES), min_size=1, max_size=3))
def test_what_is_written_reads_back_exactly(extras: list[JsonObject]) -> None:
    documents: list[JsonObject] = [
        {"apiVersion": "reconciler/v1", "kind": "Other", "spec": each, "metadata": {"name": "n"}} for each in extras
    ]
    assert read_back(write_documents(documents)) == documents


@given(TRAPS | TEXT)
def test_a_text_is_a_text_to_every_reader(text: str) -> None:
    written = write_documents([{"kind": "Other", "metadata": {"name": text}}])
    assert yaml.safe_load(written)["metadata"]["name"] == text.replace("${", "$${")


@pytest.mark.parametrize("text", ["0613", "on", "no", "null", "~", "2024-11-20", "1", "y", "1e3", ""])
def test_what_could_be_taken_for_something_else_is_quoted(text: str) -> None:
    assert f'name: "{text}"\n' in write_documents([{"kind": "Other", "metadata": {"name": text}}])


def test_keys_stand_in_the_order_of_the_specs() -> None:
    written = write_documents(
        [
            {
                "spec": {
                    "deployments": [{"sku": {"capacity": 3, "name": "Standard"}, "model": {"name": "m"}, "name": "d"}],
                    "publicNetworkAccess": "Disabled",
                    "future": True,
                    "location": "swedencentral",
                },
                "lifecycle": {"adopt": True},
                "metadata": {"name": "aoai"},
                "kind": "Account",
            }
        ]
    )
    assert written == (
        "apiVersion: reconciler/v1\n"
        "kind: Account\n"
        "metadata:\n"
        "  name: aoai\n"
        "spec:\n"
        "  location: swedencentral\n"
        "  publicNetworkAccess: Disabled\n"
        "  deployments:\n"
        "    - name: d\n"
        "      model:\n"
        "        name: m\n"
        "      sku:\n"
        "        name: Standard\n"
        "        capacity: 3\n"
        "  future: true\n"
        "lifecycle:\n"
        "  adopt: true\n"
    )


def test_several_documents_load_as_they_were_meant(tmp_path: Path) -> None:
    documents: list[JsonObject] = [
        {"kind": "ResourceGroup", "metadata": {"name": "rg-ai"}, "spec": {"tags": {"on": "no", "v": "0613"}}},
        {"kind": "Account", "metadata": {"name": "aoai"}, "spec": {"publicNetworkAccess": "Disabled"}},
    ]
    estate = load_estate([plant(tmp_path, {"fleet.yaml": FLEET, "all.yaml": write_documents(documents)})], {})
    assert estate.findings == ()
    group, _ = estate.fleets[0].desired.values()
    assert (group.fields["tags.on"], group.fields["tags.v"]) == ("no", "0613")
