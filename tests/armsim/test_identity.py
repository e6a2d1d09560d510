"""Tokens: who gets one, who does not, and how long it is good for."""

import base64
import json
import time

import jwt
import pytest

from armsim.identity import ASSERTION
from armsim.server import Simulator
from tests.armsim.asking import GROUP, SUB, Asker

OTHER = "44444444-4444-4444-4444-444444444444"


def claims(token: str) -> dict[str, object]:
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


async def test_a_token_tells_who_for_what_and_how_long(asker: Asker) -> None:
    said = claims(asker.token)
    assert (said["appid"], said["tid"]) == (asker.sim.client_id, asker.sim.tenant_id)
    assert said["aud"] == asker.sim.endpoint
    assert 3500 < float(str(said["exp"])) - time.time() <= 3600
    assert jwt.decode(asker.token, options={"verify_signature": False})["oid"] == said["oid"]


@pytest.mark.parametrize(
    ("form", "status", "number"),
    [
        ({"client_secret": "wrong"}, 401, 7000215),
        ({"client_id": OTHER}, 400, 700016),
        ({"grant_type": "password"}, 400, 70003),
        ({"scope": "nothing"}, 400, 1002012),
        ({"tenant": OTHER}, 400, 90002),
        ({"client_secret": "", "client_assertion": "a.b.c", "client_assertion_type": ASSERTION}, 400, 50027),
    ],
)
async def test_a_bad_request_for_a_token_is_refused_as_entra_does(
    asker: Asker, form: dict[str, str], status: int, number: int
) -> None:
    refused = await asker.token_for(**form)
    assert (refused.status, refused.body["error_codes"]) == (status, [number])


async def test_a_federated_token_is_as_good_as_a_secret_until_it_is_over(asker: Asker) -> None:
    federated = asker.sim.identity.federated()
    form = {"client_secret": "", "client_assertion_type": ASSERTION}
    assert (await asker.token_for(client_assertion=federated, **form)).status == 200
    old = jwt.encode({"exp": 1}, "k" * 32, algorithm="HS256")
    refused = await asker.token_for(client_assertion=old, **form)
    assert refused.body["error_codes"] == [700024]


async def test_a_token_of_the_first_version_is_asked_for_by_resource(asker: Asker) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_id": asker.sim.client_id,
        "client_secret": asker.sim.client_secret,
        "resource": "https://management.azure.com/",
    }
    answer = await asker.raw("POST", f"{asker.sim.authority}/{asker.sim.tenant_id}/oauth2/token", data=form)
    asker.token = answer.body["access_token"]
    assert (await asker.get(GROUP)).status == 200


async def test_a_managed_identity_needs_its_header_and_a_known_id(asker: Asker) -> None:
    url = (
        f"{asker.sim.imds}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://management.azure.com/"
    )
    assert (await asker.raw("GET", url)).status == 400
    metadata = {"Metadata": "true"}
    assert (await asker.raw("GET", f"{url}&client_id={OTHER}", headers=metadata)).status == 400
    answer = await asker.raw("GET", f"{url}&client_id={asker.sim.client_id}", headers=metadata)
    assert int(answer.body["expires_on"]) > time.time()
    asker.token = answer.body["access_token"]
    assert (await asker.get(GROUP)).status == 200


async def test_arm_refuses_missing_foreign_and_expired_tokens(slow: Asker) -> None:
    good = slow.token
    for token, code in (
        ("", "InvalidAuthenticationToken"),
        ("a.b.c", "InvalidAuthenticationToken"),
        (good[:-4] + "AAAA", "InvalidAuthenticationToken"),
        (await slow.sign_in(scope="https://vault.azure.net/.default"), "InvalidAuthenticationTokenAudience"),
    ):
        slow.token = token
        refused = await slow.get(GROUP)
        assert (refused.status, refused.code) == (401, code)
        assert refused.headers["www-authenticate"].startswith("Bearer ")
    slow.token = good
    await slow.advance(3601)
    assert (await slow.get(GROUP)).code == "ExpiredAuthenticationToken"
    slow.token = await slow.sign_in()
    assert (await slow.get(GROUP)).status == 200
    bare = await slow.raw("GET", f"{slow.sim.endpoint}{GROUP}?api-version=2022-09-01")
    assert (bare.status, bare.code) == (401, "AuthenticationFailed")


async def test_a_subscription_belongs_to_its_tenant(asker: Asker) -> None:
    there = "00000000-0000-0000-0000-0000000000ff"
    client = {"clientId": "c2", "clientSecret": "s2", "tenantId": OTHER}
    await asker.seed(
        subscriptions=[{"subscriptionId": there, "tenantId": OTHER, "displayName": "Other"}], clients=[client]
    )
    refused = await asker.get(f"/subscriptions/{there}/resourcegroups")
    assert (refused.status, refused.code) == (401, "InvalidAuthenticationTokenTenant")
    asker.token = await asker.sign_in(tenant=OTHER, client_id="c2", client_secret="s2")
    assert (await asker.get(f"/subscriptions/{there}/resourcegroups")).status == 200
    assert (await asker.get(f"/subscriptions/{SUB}/resourcegroups")).status == 401


async def test_discovery_points_back_to_where_it_was_asked(asker: Asker) -> None:
    base = asker.sim.authority
    openid = await asker.raw("GET", f"{base}/{Simulator.tenant_id}/v2.0/.well-known/openid-configuration")
    assert openid.body["token_endpoint"].startswith(base)
    instance = await asker.raw("GET", f"{base}/common/discovery/instance?api-version=1.1")
    assert instance.body["tenant_discovery_endpoint"].startswith(base)
