"""Entra and the managed identity endpoint: tokens that clients can read and only this simulation accepts.

Lifetimes are told in real time, because clients look at their own clock; they end on simulated time.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Final

from armsim import settings as defaults
from armsim.clock import Clock, wall
from armsim.cloud import Principal
from armsim.wire import Body, Json, encode

LIFETIME: Final = 3600
AUDIENCES: Final = ("https://management.azure.com", "https://management.core.windows.net")
ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class IdentityError(Exception):
    """A token request that is refused."""

    def __init__(self, status: int, code: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.code = code
        self.description = description


class TokenError(Exception):
    """A bearer token that ARM does not accept: its code and words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Client:
    """A registered application. `tenant` is its home; it may sign in to any tenant that is simulated."""

    id: str
    object: str
    tenant: str
    secret: str


@dataclass(frozen=True, slots=True)
class _Known:
    principal: Principal
    audience: str
    ends: float


class Identity:
    def __init__(self, clock: Clock, seed: int) -> None:
        self._clock = clock
        self._key = hashlib.sha256(f"tokens:{seed}".encode()).digest()
        self._known: dict[str, _Known] = {}
        self.clients: dict[str, Client] = {}
        self.tenants: set[str] = {defaults.TENANT}
        self.register(Client(defaults.CLIENT, defaults.OBJECT, defaults.TENANT, defaults.CLIENT_SECRET))

    def register(self, client: Client) -> None:
        self.clients[client.id.lower()] = client

    # -- issuing

    def token(self, tenant: str, form: dict[str, str], base: str) -> Body:
        """The answer of `/{tenant}/oauth2[/v2.0]/token` for client credentials."""
        home = self._tenant(tenant)
        if form.get("grant_type") != "client_credentials":
            raise IdentityError(
                400, "unsupported_grant_type", "AADSTS70003: The app requested an unsupported grant type."
            )
        client = self.clients.get(form.get("client_id", "").lower())
        if client is None:
            raise IdentityError(
                400,
                "unauthorized_client",
                f"AADSTS700016: Application with identifier '{form.get('client_id')}' was not found in the directory.",
            )
        if "client_assertion" in form:
            self._check_assertion(form)
        elif form.get("client_secret") != client.secret:
            raise IdentityError(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.")
        audience = form.get("resource") or _scope_audience(form.get("scope", ""))
        return self._answer(client, home, audience, base)

    def managed(self, query: dict[str, str], base: str) -> Body:
        """The answer of the instance metadata service."""
        wanted = query.get("client_id") or query.get("object_id") or query.get("principal_id")
        clients = list(self.clients.values())
        client = clients[0]
        if wanted is not None:
            found = next((each for each in clients if wanted.lower() in {each.id.lower(), each.object.lower()}), None)
            if found is None:
                raise IdentityError(400, "invalid_request", "Identity not found")
            client = found
        if not query.get("resource"):
            raise IdentityError(400, "invalid_request", "Required query variable 'resource' is missing")
        answer = self._answer(client, client.tenant, query["resource"], base)
        return {**answer, "client_id": client.id, **{name: str(answer[name]) for name in ("expires_in", "expires_on")}}

    def federated(self) -> str:
        """A token as a cluster would project it into a pod, for workload identity."""
        now = int(wall())
        claims = {"iss": "https://cluster.simulated", "sub": "system:serviceaccount:default:reconciler"}
        return self._sign({**claims, "aud": "api://AzureADTokenExchange", "iat": now, "exp": now + 10 * 365 * 86400})

    def _answer(self, client: Client, tenant: str, audience: str, base: str) -> Body:
        now = int(wall())
        ends = self._clock.now() + LIFETIME * max(1.0, self._clock.pace)
        claims = {
            "aud": audience,
            "iss": f"{base}/{tenant}/",
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME,
            "appid": client.id,
            "appidacr": "1",
            "idp": f"{base}/{tenant}/",
            "idtyp": "app",
            "oid": client.object,
            "sub": client.object,
            "tid": tenant,
            "ver": "1.0",
            "xms_sim_end": ends,
        }
        token = self._sign(claims)
        self._known[token] = _Known(Principal(client.id, client.object, tenant), audience.rstrip("/"), ends)
        return {
            "token_type": "Bearer",
            "expires_in": LIFETIME,
            "ext_expires_in": LIFETIME,
            "expires_on": now + LIFETIME,
            "not_before": now,
            "resource": audience,
            "access_token": token,
        }

    # -- accepting

    def accept(self, header: str | None, base: str) -> Principal:
        """Who the bearer is; raises TokenError."""
        if not header:
            raise TokenError("AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.")
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise TokenError(
                "AuthenticationFailedInvalidHeader",
                "Authentication failed. The 'Authorization' header is provided in an invalid format.",
            )
        known = self._known.get(token) or self._recall(token)
        if known.ends <= self._clock.now():
            raise TokenError("ExpiredAuthenticationToken", "The access token expiry UTC time is earlier than now.")
        if known.audience not in (*AUDIENCES, base) and not _same_host(known.audience, base):
            raise TokenError(
                "InvalidAuthenticationTokenAudience",
                f"The access token has been obtained for wrong audience or resource '{known.audience}'. It should "
                f"exactly match with one of the allowed audiences '{AUDIENCES[1]}/','{AUDIENCES[0]}/','{base}/'.",
            )
        return known.principal

    def _recall(self, token: str) -> _Known:
        """A token issued before a restart."""
        parts = token.split(".")
        body = ".".join(parts[:2])
        if len(parts) != 3 or not hmac.compare_digest(self._signature(body), parts[2]):
            raise TokenError("InvalidAuthenticationToken", "The access token is invalid.")
        claims = _decode(parts[1])
        known = _Known(
            Principal(claims["appid"], claims["oid"], claims["tid"]), claims["aud"].rstrip("/"), claims["xms_sim_end"]
        )
        self._known[token] = known
        return known

    # -- discovery

    def openid(self, tenant: str, base: str) -> Body:
        home = tenant if tenant in {"common", "organizations"} else self._tenant(tenant)
        return {
            "token_endpoint": f"{base}/{home}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            "jwks_uri": f"{base}/{home}/discovery/v2.0/keys",
            "response_types_supported": ["code", "id_token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "issuer": f"{base}/{home}/v2.0",
            "authorization_endpoint": f"{base}/{home}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{base}/{home}/oauth2/v2.0/devicecode",
            "tenant_region_scope": "EU",
        }

    def instance(self, base: str) -> Body:
        host = base.split("//", 1)[1]
        return {
            "tenant_discovery_endpoint": f"{base}/common/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
        }

    # -- inside

    def _tenant(self, tenant: str) -> str:
        found = next((each for each in self.tenants if each.lower() == tenant.lower()), None)
        if found is None:
            raise IdentityError(400, "invalid_request", f"AADSTS90002: Tenant '{tenant}' not found.")
        return found

    def _check_assertion(self, form: dict[str, str]) -> None:
        if form.get("client_assertion_type") != ASSERTION:
            raise IdentityError(400, "invalid_request", "AADSTS900144: client_assertion_type is missing or unknown.")
        parts = form["client_assertion"].strip().split(".")
        try:
            claims = _decode(parts[1]) if len(parts) == 3 else None
        except ValueError:
            claims = None
        if not isinstance(claims, dict):
            raise IdentityError(400, "invalid_request", "AADSTS50027: JWT token is invalid or malformed.")
        if float(claims.get("exp", 0)) <= wall():
            raise IdentityError(
                401, "invalid_client", "AADSTS700024: Client assertion is not within its valid time range."
            )

    def _sign(self, claims: Body) -> str:
        body = f"{_encode({'typ': 'JWT', 'alg': 'HS256', 'kid': 'simulated'})}.{_encode(claims)}"
        return f"{body}.{self._signature(body)}"

    def _signature(self, body: str) -> str:
        return _text(hmac.new(self._key, body.encode(), hashlib.sha256).digest())


def refusal(error: IdentityError, now: str) -> bytes:
    """The error body of the token endpoint."""
    number = error.description.partition(":")[0].removeprefix("AADSTS")
    return encode(
        {
            "error": error.code,
            "error_description": error.description,
            "error_codes": [int(number)] if number.isdigit() else [],
            "timestamp": now,
        }
    )


def _scope_audience(scope: str) -> str:
    first = scope.split(" ", maxsplit=1)[0]
    if not first.endswith("/.default"):
        raise IdentityError(400, "invalid_scope", "AADSTS1002012: The scope must be of the form resource/.default.")
    return first.removesuffix("/.default")


def _same_host(audience: str, base: str) -> bool:
    """127.0.0.1 and localhost are the same place."""
    return audience.replace("//localhost:", "//127.0.0.1:") == base.replace("//localhost:", "//127.0.0.1:")


def _encode(value: Body) -> str:
    return _text(encode(value))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(text: str) -> Json:
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
