"""The format explains itself, to editors and on the terminal, with the words of the specs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
import yaml

from reconciler.desired.explain import UnknownTopicError, explain, make_schema
from reconciler.desired.schema import SPECS, document_model
from reconciler.desired.shape import SpecField, child_fields, find_field
from reconciler.desired.source import read_text
from reconciler.model.wire import Json
from tests.desired.trees import load


def _walk(kind: str, path: str, field: SpecField) -> Iterator[tuple[str, SpecField]]:
    yield f"{kind}.{path}" if path else kind, field
    for name, below in child_fields(field).items():
        yield from _walk(kind, f"{path}.{name}" if path else name, below)


TOPICS = [
    (topic, field)
    for kind in SPECS
    for topic, field in _walk(kind, "", find_field(document_model(kind), ("spec",)) or pytest.fail("no spec"))
]


@pytest.mark.parametrize(("topic", "field"), TOPICS, ids=[topic for topic, _ in TOPICS])
def test_every_field_is_explained_within_eighty_columns(topic: str, field: SpecField) -> None:
    text = explain(topic)
    assert text.startswith(topic + "\n")
    assert field.description in " ".join(text.split())
    assert all(len(line) <= 80 for line in text.splitlines() if "://" not in line)


@pytest.mark.parametrize(("topic", "field"), TOPICS, ids=[topic for topic, _ in TOPICS])
def test_every_field_has_words(topic: str, field: SpecField) -> None:
    assert field.description or topic in SPECS


@pytest.mark.parametrize("topic", [topic for topic, _ in TOPICS])
def test_every_example_is_yaml(topic: str) -> None:
    example = explain(topic).partition("Example:\n")[2]
    file = read_text(example, "example", Path("/d"))
    assert not file.findings
    assert not any(document.findings for document in file.documents)


def test_a_field_is_found_in_any_case_and_through_its_list() -> None:
    assert explain("account.deployments[gpt-4o].SKU.capacity") == explain("Account.deployments.sku.capacity")
    assert explain("Account.spec.networkAcls") == explain("Account.networkAcls")


def test_an_explanation_says_type_values_limits_and_default() -> None:
    assert "values    Allow, Deny" in explain("Account.networkAcls.defaultAction")
    assert "text, required" in explain("Account.networkAcls.defaultAction")
    assert "at least 1" in explain("Account.deployments.sku.capacity")
    assert "default   OpenAI" in explain("Account.kind")
    assert "service endpoint Microsoft.CognitiveServices" in " ".join(
        explain("Account.networkAcls.virtualNetworkRules").split()
    )


def test_metadata_and_lifecycle_are_explained_too() -> None:
    assert "manage, observe, detach" in explain("Account.lifecycle.policy")
    assert explain("ResourceGroup.metadata.name").startswith("ResourceGroup.metadata.name\n")


def test_without_a_topic_all_kinds_are_listed() -> None:
    assert all(kind in explain("") for kind in SPECS)


@pytest.mark.parametrize(
    ("topic", "said"),
    [
        ("Acount", "there is no kind Acount; did you mean Account?"),
        ("Zebra", "known kinds: Account, Fleet, ModelPool, NetworkSecurityGroup, PrivateDnsZone, PrivateEndpoint"),
        ("Account.netwrkAcls", "Account has no field netwrkAcls; did you mean networkAcls?"),
        ("Account.networkAcls.rules", "Account.networkAcls has no field rules; did you mean ipRules?"),
        ("Account.kind.x", "Account.kind has no field x; it has no fields"),
    ],
)
def test_an_unknown_topic_says_what_is_near(topic: str, said: str) -> None:
    with pytest.raises(UnknownTopicError, match=re.escape(said)):
        explain(topic)


SCHEMA = make_schema()


def _nodes(value: Json) -> Iterator[dict[str, Json]]:
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from _nodes(item)
    if isinstance(value, list):
        for item in value:
            yield from _nodes(item)


def test_the_schema_knows_every_kind() -> None:
    assert SCHEMA["oneOf"] == [{"$ref": f"#/$defs/{kind}"} for kind in SPECS]
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_schema_refuses_unknown_fields_everywhere() -> None:
    closed = [node for node in _nodes(SCHEMA) if isinstance(node.get("properties"), dict) and "type" in node]
    assert len(closed) > 20
    assert all(node["additionalProperties"] is False for node in closed if "title" in node)


def test_every_reference_in_the_schema_leads_somewhere() -> None:
    definitions = SCHEMA["$defs"]
    assert isinstance(definitions, dict)
    references = {str(node["$ref"]) for node in _nodes(SCHEMA) if "$ref" in node}
    assert {each.removeprefix("#/$defs/") for each in references} <= set(definitions)


def test_the_schema_lets_a_placeholder_stand_for_a_number() -> None:
    definitions = json.loads(json.dumps(SCHEMA))["$defs"]
    capacity = definitions["DeploymentSkuSpec"]["properties"]["capacity"]
    patterns = [node["pattern"] for node in _nodes(capacity) if "pattern" in node]
    assert any(re.search(str(pattern), "${CAPACITY}") for pattern in patterns)


def test_the_schema_is_the_same_every_time() -> None:
    assert json.dumps(make_schema()) == json.dumps(SCHEMA)


@pytest.mark.parametrize("kind", sorted(set(SPECS) - {"Fleet"}))
def test_the_example_of_a_kind_is_a_right_document(tmp_path: Path, kind: str) -> None:
    found = load(tmp_path, dedent(explain(kind).partition("Example:\n")[2])).findings
    # It names documents that it does not show.
    assert [str(each) for each in found if each.code != "dangling"] == []


@pytest.mark.parametrize(
    "topic", ["NetworkSecurityGroup.securityRules", "VirtualNetwork.subnets", "Account.deployments"]
)
def test_the_example_of_an_item_says_all_that_has_to_be_said(topic: str) -> None:
    field = topic.partition(".")[2]
    example = yaml.safe_load(dedent(explain(topic).partition("Example:\n")[2]))
    (item,) = example["spec"][field]
    needed = {
        "securityRules": {"sourceAddressPrefix", "destinationAddressPrefix", "destinationPortRange"},
        "subnets": {"addressPrefix"},
        "deployments": {"sku"},
    }
    assert needed[field] <= {*item}
