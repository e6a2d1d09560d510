"""Who we are: the credential that a target asks for, and the name under which Azure will write down what we did.

A credential that cannot work is one that fails when it is asked, so that whoever asks gets a fault with the reason.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from azure.core.credentials import AccessTokenInfo, TokenRequestOptions
from azure.core.exceptions import ClientAuthenticationError, DecodeError
from azure.core.rest import AsyncHttpResponse, HttpRequest
from azure.identity.aio import (
    AzureCliCredential,
    ChainedTokenCredential,
    ClientSecretCredential,
    EnvironmentCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)

from reconciler.cloud.transport import ExactTransport
from reconciler.model.resource import CloudTarget

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncSupportsTokenInfo


class TokenTransport(ExactTransport):
    """Keeps the last answer that was no token: what a credential makes of one that it cannot read does not tell its
    status any more."""

    refusal: AsyncHttpResponse | None = None

    async def send(  # type: ignore[override]  # as in the base
        self, request: HttpRequest, **options: object
    ) -> AsyncHttpResponse:
        self.refusal = None
        response = await super().send(request, **options)
        self.refusal = response if response.status_code >= 400 else None
        return response


class SignIn:
    """A credential that fails in one way only: whatever goes wrong, a token file that is not there included, is a
    ClientAuthenticationError, with the answer that refused it, if there was one. `reason` says why there is no
    credential to ask."""

    def __init__(
        self, credential: AsyncSupportsTokenInfo | None, transport: TokenTransport | None = None, reason: str = ""
    ) -> None:
        self._credential = credential
        self._transport = transport
        self._reason = reason

    async def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        if self._credential is None:
            raise ClientAuthenticationError(self._reason)
        try:
            return await self._credential.get_token_info(*scopes, options=options)
        except ClientAuthenticationError as error:
            error.response = error.response or self._refusal
            raise
        except (OSError, ValueError, DecodeError) as error:
            failed = ClientAuthenticationError(f"No token was to be had: {error}")
            failed.response = self._refusal
            raise failed from error

    @property
    def _refusal(self) -> AsyncHttpResponse | None:
        return self._transport.refusal if self._transport else None

    async def close(self) -> None:
        if self._credential is not None:
            await self._credential.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.close()


def make_credential(target: CloudTarget, environment: Mapping[str, str], transport: TokenTransport) -> SignIn:
    """The credential of `target`, its tokens fetched through `transport`."""
    try:
        return SignIn(_make(target, environment, transport), transport)
    except ValueError as error:
        return SignIn(None, reason=f"The credential {target.credential!r} cannot be used: {error}")


def _make(target: CloudTarget, environment: Mapping[str, str], transport: ExactTransport) -> AsyncSupportsTokenInfo:
    credential: AsyncSupportsTokenInfo
    match target.credential:
        case "clientSecret":
            credential = _client_secret(target, environment, transport)
        case "workloadIdentity":
            credential = _workload_identity(target, environment, transport)
        case "managedIdentity":
            credential = ManagedIdentityCredential(client_id=target.client_id or None, transport=transport)
        case "azureCli":
            credential = AzureCliCredential(tenant_id=target.tenant)
        case "default":
            credential = _usual(target, environment, transport)
        case _:
            raise ValueError("there is no such type")
    return credential


def _client_secret(
    target: CloudTarget, environment: Mapping[str, str], transport: ExactTransport
) -> AsyncSupportsTokenInfo:
    variable = target.secret_variable or "AZURE_CLIENT_SECRET"
    secret = environment.get(variable, "")
    if not secret:
        raise ValueError(f"the environment variable {variable} holds no client secret")
    tenant = target.tenant or environment.get("AZURE_TENANT_ID", "")
    client = target.client_id or environment.get("AZURE_CLIENT_ID", "")
    return ClientSecretCredential(tenant, client, secret, authority=target.authority, transport=transport)


def _workload_identity(
    target: CloudTarget, environment: Mapping[str, str], transport: ExactTransport
) -> WorkloadIdentityCredential:
    return WorkloadIdentityCredential(
        tenant_id=target.tenant or environment.get("AZURE_TENANT_ID"),
        client_id=target.client_id or environment.get("AZURE_CLIENT_ID"),
        token_file_path=target.token_file or environment.get("AZURE_FEDERATED_TOKEN_FILE"),
        authority=target.authority,
        transport=transport,
    )


def _usual(target: CloudTarget, environment: Mapping[str, str], transport: ExactTransport) -> AsyncSupportsTokenInfo:
    """The usual ones in turn. Not azure-identity's own default chain: that one keeps the authority of a sovereign or
    private cloud from the workload identity in it."""
    chain: list[AsyncSupportsTokenInfo] = [EnvironmentCredential(authority=target.authority, transport=transport)]
    if target.token_file or environment.get("AZURE_FEDERATED_TOKEN_FILE"):
        chain.append(_workload_identity(target, environment, transport))
    chain.append(ManagedIdentityCredential(client_id=target.client_id or None, transport=transport))
    chain.append(AzureCliCredential(tenant_id=target.tenant))
    return ChainedTokenCredential(*chain)


def read_principal(token: str) -> str | None:
    """Our name as Azure writes it in systemData: a person's user name, an application's client id.

    The token is only read, never checked: Azure does that.
    """
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return None
    if not isinstance(claims, dict):
        return None
    person = ("upn", "unique_name", "preferred_username", "email")
    application = ("appid", "azp", "oid", "sub")
    for name in (*person, *application) if claims.get("idtyp") != "app" else application:
        value = claims.get(name)
        if isinstance(value, str) and value:
            return value
    return None
