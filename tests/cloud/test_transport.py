"""What reaches the wire, byte for byte, and over which connection."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cloud import CloudSettings, open_cloud
from reconciler.cloud.transport import Proxies, exact_url
from reconciler.model.finding import Fault, FaultClass
from reconciler.model.ids import ArmId
from reconciler.model.ports import Operation, Progress
from reconciler.model.resource import CloudTarget, Live
from tests.cloud.canned import Canned, canned
from tests.support.virtual_time import LoopClock

pytestmark = pytest.mark.virtual_time

ACCOUNT = ArmId(subscription="s", group="g").resource("Microsoft.CognitiveServices/accounts", "aoai")
# What requoting would change: an encoded slash and dollar, a plus, a star, lower-case hex digits, a doubled slash.
TRICKY = "/subscriptions/s//providers/x/operations/1%2f2?api-version=1&%24skip=a+b%2B*~&t=%e4%20&c=a/b?c=='()!;:@,%41"


def open_at(server: Canned, bundle: str | None = None):  # type: ignore[no-untyped-def]
    target = CloudTarget(
        endpoint=server.endpoint,
        authority=server.endpoint,
        audience="https://management.azure.com",
        credential="clientSecret",
        tenant="11111111-1111-1111-1111-111111111111",
        client_id="c",
    )
    environment = {"AZURE_CLIENT_SECRET": "s", "SSL_CERT_FILE": server.bundle if bundle is None else bundle}
    settings = CloudSettings(environment=environment)
    return open_cloud(target, LoopClock(0.0), random.Random(1), read_only=False, settings=settings)


async def test_an_operation_url_is_replayed_byte_for_byte(tmp_path: Path) -> None:
    async with canned(tmp_path) as server, open_at(server) as cloud:
        server.answer = lambda _: (200, {}, {"status": "Succeeded"})
        poll = await cloud.poll(Operation(id=ACCOUNT, url=server.endpoint + TRICKY))
    assert poll.progress is Progress.SUCCEEDED
    assert server.lines == [f"GET {TRICKY}"]


async def test_a_raw_space_is_encoded_and_nothing_else(tmp_path: Path) -> None:
    async with canned(tmp_path) as server, open_at(server) as cloud:
        server.answer = lambda _: (200, {}, {"status": "Succeeded"})
        await cloud.poll(Operation(id=ACCOUNT, url=f"{server.endpoint}/locations/Central US EUAP/r?s=a%2Bb c"))
    assert server.lines == ["GET /locations/Central%20US%20EUAP/r?s=a%2Bb%20c"]


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"<>\\^`{|}#'), max_size=60))
def test_what_may_stand_in_a_url_stays_as_it_is(query: str) -> None:
    assert exact_url(f"https://h/p?q={query}").raw_path_qs == f"/p?q={query}"


async def test_all_requests_share_one_connection_and_tokens_use_it_too(tmp_path: Path) -> None:
    async with canned(tmp_path) as server, open_at(server) as cloud:
        server.answer = lambda _: (200, {}, {"id": str(ACCOUNT), "name": "aoai"})
        for _ in range(5):
            assert isinstance(await cloud.read(ACCOUNT), Live)
    assert len(server.connections) == 1
    assert server.signed_in == 1


async def test_requests_name_us_and_carry_an_id_of_their_own(tmp_path: Path) -> None:
    async with canned(tmp_path) as server, open_at(server) as cloud:
        server.answer = lambda _: (200, {}, {"id": str(ACCOUNT)})
        await asyncio.wait_for(cloud.read(ACCOUNT), 60)
        await cloud.read(ACCOUNT)
    assert all(each["user-agent"].startswith("reconciler/") for each in server.headers)
    assert len({each["x-ms-client-request-id"] for each in server.headers}) == 2


async def test_an_unknown_certificate_authority_is_a_fault_with_advice(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    async with canned(tmp_path) as server, canned(other) as stranger, open_at(server, stranger.bundle) as cloud:
        fault = await cloud.read(ACCOUNT)
    assert isinstance(fault, Fault)
    assert (fault.cls, fault.code, fault.applied) == (FaultClass.FORBIDDEN, "certificate_untrusted", False)
    assert "REQUESTS_CA_BUNDLE" in fault.advice


async def test_a_ca_bundle_that_cannot_be_read_is_said_at_once(tmp_path: Path) -> None:
    async with canned(tmp_path) as server:
        with pytest.raises(ValueError, match=r"nowhere\.pem cannot be read"):
            async with open_at(server, str(tmp_path / "nowhere.pem")):
                pass


async def test_nobody_at_the_endpoint_is_a_passing_fault_without_effect(tmp_path: Path) -> None:
    async with canned(tmp_path) as server:
        closed = server.endpoint
        async with open_at(server) as cloud:
            server.answer = lambda _: (200, {}, {"id": str(ACCOUNT)})
            await cloud.read(ACCOUNT)  # the token is at hand now
            poll = await cloud.poll(Operation(id=ACCOUNT, url=closed.rpartition(":")[0] + ":1/x"))
    assert poll.progress is Progress.RUNNING
    assert poll.fault is not None
    assert (poll.fault.cls, poll.fault.applied) == (FaultClass.TRANSIENT, False)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ({"https_proxy": "http://proxy:3128", "HTTP_PROXY": "http://other"}, "http://proxy:3128"),
        ({"ALL_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "localhost,.azure.com"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "no_proxy": "*"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "example.com"}, "http://proxy:3128"),
        ({"HTTP_PROXY": "http://proxy:3128"}, None),
    ],
)
def test_the_proxy_is_the_one_that_the_environment_names(environment: dict[str, str], expected: str | None) -> None:
    assert Proxies(environment).proxy_for("https://management.azure.com/x") == expected
