"""Every word of every binding means something to the installed SDK: an operation, taking those keywords."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator

import pytest

from reconciler.cloud.gateway import client_class
from reconciler.kinds.base import Binding, ResourceType
from reconciler.kinds.catalog import TYPES


class _Anonymous:
    """A credential for clients that send nothing."""

    async def get_token(self, *scopes: str, **options: object) -> object:
        raise AssertionError("nothing is sent here")


def _group(binding: Binding, group: str) -> object:
    client = client_class(binding.client)(_Anonymous(), "00000000-0000-0000-0000-000000000001")
    return getattr(client, group)


def _words(type_: ResourceType) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(operation group, operation, the keywords that the gateway calls it with) for everything a binding names."""
    binding = type_.binding
    names = binding.names
    yield binding.group, binding.get, names
    yield binding.group, binding.put, (*names, binding.body)
    if binding.delete:
        yield binding.group, binding.delete, names
    if binding.patch:
        yield binding.group, binding.patch, (*names, binding.patch_body)
    if binding.list_all:
        yield binding.group, binding.list_all, ()
    if binding.list_children:
        yield binding.group, binding.list_children, names[:-1]
    if binding.deleted_list:
        yield binding.deleted_group, binding.deleted_list, ()
    if binding.deleted_get:
        yield binding.deleted_group, binding.deleted_get, (*names, "location")
    if binding.purge:
        yield binding.deleted_group, binding.purge, (*names, "location")


CASES = [
    pytest.param(type_.binding, group, operation, keywords, id=f"{type_.word}-{operation}")
    for type_ in TYPES
    for group, operation, keywords in _words(type_)
]


@pytest.mark.parametrize(("binding", "group", "operation", "keywords"), CASES)
def test_every_operation_of_a_binding_takes_exactly_our_keywords(
    binding: Binding, group: str, operation: str, keywords: tuple[str, ...]
) -> None:
    call: Callable[..., object] = getattr(_group(binding, group), operation)
    signature = inspect.signature(call)
    signature.bind(**dict.fromkeys(keywords, "x"))
    required = {
        name
        for name, parameter in signature.parameters.items()
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
    }
    assert required == set(keywords)
    assert any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature.parameters.values())


@pytest.mark.parametrize("type_", TYPES, ids=lambda type_: type_.word)
def test_bodies_may_go_as_bytes(type_: ResourceType) -> None:
    binding = type_.binding
    writes = [(binding.put, binding.body), (binding.patch, binding.patch_body)]
    for operation, body in writes:
        if operation:
            call = inspect.unwrap(getattr(_group(binding, binding.group), operation))
            annotation = call.__annotations__[body]
            assert any(typing.get_origin(each) is typing.IO for each in typing.get_args(annotation)), annotation


@pytest.mark.parametrize("type_", TYPES, ids=lambda type_: type_.word)
def test_a_binding_names_as_many_keywords_as_an_id_has_names(type_: ResourceType) -> None:
    names = [each for each in type_.binding.names if each != "resource_group_name"]
    assert len(names) == (type_.arm_type.count("/") if type_.binding.client != "resources" else 0)


def test_the_check_of_a_subdomain_takes_our_keywords() -> None:
    client = client_class("cognitiveservices")(_Anonymous(), "00000000-0000-0000-0000-000000000001")
    signature = inspect.signature(client.check_domain_availability)
    signature.bind(subdomain_name="x", type="x", kind="x")


def test_the_list_of_the_activity_log_takes_our_keyword() -> None:
    client = client_class("monitor")(_Anonymous(), "00000000-0000-0000-0000-000000000001")
    inspect.signature(client.activity_logs.list).bind(filter="x")


def test_the_question_for_hardware_takes_our_keywords() -> None:
    client = client_class("cognitiveservices")(_Anonymous(), "00000000-0000-0000-0000-000000000001")
    names = dict.fromkeys(("model_format", "model_name", "model_version"), "x")
    inspect.signature(client.model_capacities.list).bind(**names)


def test_an_unknown_client_is_named() -> None:
    with pytest.raises(LookupError, match="nonsense"):
        client_class("nonsense")
