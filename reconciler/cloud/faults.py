"""What an unwanted answer means: one table from ARM's error code to a class and the next step in words.

The HTTP status decides only what the table does not know. Accepts every shape in which errors come: wrapped,
unwrapped, a page of HTML, nothing at all. Knows no request and no resource.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from reconciler.cloud.budget import retry_after
from reconciler.model.finding import LEASE_LOST, Fault, FaultClass
from reconciler.model.wire import Json, JsonObject


class _Meaning(NamedTuple):
    cls: FaultClass
    advice: str


_T, _R, _W = FaultClass.TRANSIENT, FaultClass.THROTTLED, FaultClass.CONFLICT
_Q, _F, _S = FaultClass.QUOTA, FaultClass.FORBIDDEN, FaultClass.SOFT_DELETED
_I, _A = FaultClass.INVALID, FaultClass.ABSENT

_LATER = "Azure is at fault here; it is tried again by itself."
_SLOWER = "Azure limits how often this identity may ask; it is tried again after the pause that Azure asked for."
_BUSY = "Another operation holds the resource; it is tried again once that has ended."
_GRANT = (
    "Grant the role that contains this action to the identity of the fleet at the scope the message names; a new grant "
    "takes some minutes to act."
)
_SIGN_IN = "Check the fleet's credential: tenant, client id, secret or token file, and that it has not expired."
_GONE = "It does not exist any more; the next run decides anew."

TABLE: Mapping[str, tuple[FaultClass, str]] = {
    # Cognitive Services
    "InsufficientQuota": (
        _Q,
        "Lower a capacity, free some (a soft-deleted account holds its quota until it is purged), or ask for more.",
    ),
    "QuotaExceeded": (_Q, "Delete what is no longer needed or ask for a higher limit in this region."),
    "InvalidResourceProperties": (
        _I,
        "Choose a model version, SKU and region that go together; the region's model list says which do.",
    ),
    "InvalidResourceProperty": (_I, "Correct the property that the message names."),
    "DeploymentModelNotSupported": (_I, "Choose a model that can still be deployed in this region."),
    "ServiceModelDeprecated": (_I, "Name a newer model version: this one takes no deployments any more."),
    "ServiceModelDeprecating": (_I, "Name a newer model version: this one is being withdrawn."),
    "SpecialFeatureOrQuotaIdRequired": (
        _F,
        "The subscription has no access to this model or SKU; apply for it, or choose another.",
    ),
    "NetworkAclsBypassNotSupported": (_I, "Remove networkAcls.bypass: accounts of this kind do not have it."),
    "SubnetsHaveNoServiceEndpointsConfigured": (
        _I,
        "Give the subnet the service endpoint Microsoft.CognitiveServices, or set ignoreMissingVnetServiceEndpoint.",
    ),
    "FlagMustBeSetForRestore": (
        _S,
        "A soft-deleted account holds this name: set the fleet's softDeleted to restore or purge, or choose another.",
    ),
    "CustomDomainInUse": (
        _I,
        "Choose another customSubDomainName: this one is taken, perhaps by an account deleted within 48 hours.",
    ),
    "SubDomainNotAvailable": (_I, "Choose another customSubDomainName: this one is taken."),
    "RequestConflict": (_W, _BUSY),
    "AnotherOperationInProgress": (_W, _BUSY),
    "Conflict": (_W, _BUSY),
    "CannotDeleteResource": (
        _W,
        "Something still lives inside it, such as a project; delete that first. Azure may need a moment to notice.",
    ),
    "NestedResourcesMustBeDeleted": (_W, "Something still lives inside it; delete that first."),
    "AccountProvisioningStateInvalid": (
        _T,
        "The network does not see the account settled yet; that can take minutes, and it is tried again by itself.",
    ),
    "AccountIsNotSucceeded": (_W, "The account is still being changed; it is tried again once it is settled."),
    "ParentResourceIsInFailedState": (_W, "Repair the parent resource first; its last change failed."),
    "DeploymentNotFound": (_A, _GONE),
    "AccountNotFound": (_A, _GONE),
    "ResourceProviderError": (_T, "Azure's own service failed while it worked on this; it is tried again by itself."),
    "OperationError": (_T, "Azure's own service failed while it worked on this; it is tried again by itself."),
    "RaiPolicyNotFound": (_I, "Name a content filter that exists on the account."),
    "InvalidApiSetId": (_I, "Choose a kind of account that this subscription and region offer."),
    # Azure Resource Manager itself
    "ResourceNotFound": (_A, _GONE),
    "NotFound": (_A, _GONE),
    "ResourceGroupNotFound": (_A, "The resource group does not exist: declare a ResourceGroup document or create it."),
    "ParentResourceNotFound": (_A, "What it belongs to does not exist; the next run decides anew."),
    "SubscriptionNotFound": (
        _F,
        "Check the subscription id, and that it belongs to the tenant the fleet signs in to.",
    ),
    "InvalidSubscriptionId": (_I, "Write the subscription as its id, a GUID."),
    "InvalidSubscriptionState": (_F, "The subscription is disabled or in arrears; its owner can enable it."),
    "DisabledSubscription": (_F, "The subscription is disabled; its owner can enable it."),
    "ReadOnlyDisabledSubscription": (_F, "The subscription is disabled and read-only; its owner can enable it."),
    "InvalidResourceType": (_I, "This cloud or region does not offer this type of resource."),
    "NoRegisteredProviderFound": (
        _I,
        "This region or cloud does not offer this type of resource; choose another region.",
    ),
    "LocationNotAvailableForResourceType": (_I, "Choose a region that offers this type of resource."),
    "LocationNotAvailableForResourceGroup": (_I, "Choose an existing region for the resource group."),
    "InvalidLocation": (_I, "Choose an existing region."),
    "InvalidResourceLocation": (
        _I,
        "It exists already in another region, and a region cannot be changed: keep the region or allow replacing it.",
    ),
    "InvalidResourceGroupLocation": (_I, "The resource group exists already in another region: write that region."),
    "AuthorizationFailed": (_F, _GRANT),
    "LinkedAuthorizationFailed": (
        _F,
        "Grant the fleet's identity the action on the linked resource the message names, such as joining a subnet.",
    ),
    "LinkedInvalidPropertyId": (_I, "Correct the id that the message names."),
    "InvalidAuthenticationToken": (_F, _SIGN_IN),
    "InvalidAuthenticationTokenTenant": (
        _F,
        "The token is for another tenant than the subscription's: correct the fleet's tenant.",
    ),
    "InvalidAuthenticationTokenAudience": (_F, "The token is for another cloud: correct the cloud's audience."),
    "ExpiredAuthenticationToken": (_F, "The token has expired and no newer one was to be had. " + _SIGN_IN),
    "AuthenticationFailed": (_F, _SIGN_IN),
    "AuthenticationFailedMissingToken": (_F, _SIGN_IN),
    "RequestDisallowedByPolicy": (
        _F,
        "An Azure Policy forbids this; the message names it. Change the document to comply, or ask for an exemption.",
    ),
    "RequestDisallowedByAzure": (
        _F,
        "Azure forbids this region or resource to this subscription; choose another region.",
    ),
    "PolicyViolation": (
        _F,
        "An Azure Policy forbids this; change the document to comply, or have the policy exempt it.",
    ),
    "DenyAssignmentAuthorizationFailed": (_F, "A deny assignment forbids this; whoever made it can lift it."),
    "ScopeLocked": (
        _F,
        "A management lock protects it; remove the lock named in the message, or set lifecycle.policy to observe.",
    ),
    "MissingSubscriptionRegistration": (
        _F,
        "Register the resource provider once: az provider register --namespace Microsoft.CognitiveServices",
    ),
    "SubscriptionNotRegistered": (
        _F,
        "Register the resource provider once: az provider register --namespace Microsoft.CognitiveServices",
    ),
    "ResourceGroupBeingDeleted": (_W, "The resource group is being deleted; it is tried again once it is gone."),
    "ResourceGroupDeletionBlocked": (_W, "Something in the resource group refuses to go; the message names it."),
    "ResourceGroupQuotaExceeded": (_Q, "The resource group is full; use another one."),
    "TagsLimitExceeded": (_I, "A resource carries at most 50 tags; remove some."),
    "InvalidTagNameCharacters": (_I, "Remove the characters that Azure does not take in the name of a tag."),
    "InvalidRequestFormat": (_I, "Correct the property that the message names."),
    "InvalidRequestContent": (_I, "Correct the property that the message names."),
    "InvalidRequestPropertiesInRequest": (_I, "Correct the property that the message names."),
    "InvalidParameter": (_I, "Correct the property that the message names."),
    "InvalidParameterValue": (_I, "Correct the property that the message names."),
    "InvalidResourceName": (_I, "Choose a name that Azure takes: letters, digits and dashes, 2 to 64 characters."),
    "ResourceNameInvalid": (_I, "Choose a name that Azure takes: letters, digits and dashes, 2 to 64 characters."),
    "AccountNameInvalid": (_I, "Choose a name that Azure takes: letters, digits and dashes, 2 to 64 characters."),
    "InvalidResourceReference": (_I, "Correct the id that the message names: it does not exist."),
    "PropertyChangeNotAllowed": (
        _I,
        "This property cannot be changed; allow replacing the resource, or keep its value.",
    ),
    "CannotChangeKind": (_I, "The kind cannot be changed; allow replacing the account, or keep it."),
    "SkuNotAvailable": (_I, "Choose another SKU or region."),
    "InvalidSku": (_I, "Choose another SKU."),
    "BadRequest": (_I, "Correct what the message names."),
    "MethodNotAllowed": (_I, "This cloud does not offer the operation."),
    "PreconditionFailed": (
        _W,
        "It was changed by somebody else in the same moment; it is read again and decided anew.",
    ),
    "SubscriptionRequestsThrottled": (_R, _SLOWER),
    "TenantRequestsThrottled": (_R, _SLOWER),
    "ResourceRequestsThrottled": (_R, _SLOWER),
    "OperationNotAllowed": (
        _I,
        "Azure does not allow this now; the message says why.",
    ),
    "TooManyRequests": (_R, _SLOWER),
    "RetryableError": (_W, _BUSY),
    "RetryableErrorDueToAnotherOperation": (_W, _BUSY),
    "ReferencedResourceNotProvisioned": (
        _T,
        "What it refers to, such as a subnet, is still being changed; it is tried again.",
    ),
    "InUseSubnetCannotBeDeleted": (
        _W,
        "Something still uses the subnet; the message names it. What is being deleted lets go after a while.",
    ),
    "InUseNetworkSecurityGroupCannotBeDeleted": (
        _W,
        "Something still uses the security group; the message names it. Have it use another one.",
    ),
    "RequestTimeout": (_T, _LATER),
    "GatewayTimeout": (
        _T,
        "Azure did not answer in time; it may have worked, so it is looked at before it is tried again.",
    ),
    "ServerTimeout": (_T, _LATER),
    "ServerBusy": (_T, _LATER),
    "ServiceUnavailable": (_T, _LATER),
    "InternalServerError": (_T, _LATER),
    "InternalError": (_T, _LATER),
    "BadGateway": (_T, _LATER),
    "ResourceProviderUnavailable": (_T, _LATER),
    "ResourceDeploymentFailure": (
        _T,
        "Azure's own service failed while it worked on this; it is tried again by itself.",
    ),
    "AsyncOperationTimedOut": (_T, _LATER),
    "InvalidAsyncOperationSignature": (_I, "Azure did not accept its own link; the resource itself shows how it went."),
    "PrincipalNotFound": (_T, "The directory does not know the identity yet; it is tried again by itself."),
    # Ours, where Azure gave no code
    "connection_refused": (
        _T,
        "Check the network, the proxy (HTTPS_PROXY) and the endpoint; it is tried again by itself.",
    ),
    "connection_cut": (
        _T,
        "The connection broke off; it may have worked, so it is looked at before it is tried again.",
    ),
    "connection_timeout": (
        _T,
        "No answer in time; it may have worked, so it is looked at before it is tried again.",
    ),
    "certificate_untrusted": (
        _F,
        "Name the certificate authority of your proxy or cloud in REQUESTS_CA_BUNDLE or SSL_CERT_FILE.",
    ),
    "credential_failed": (_F, _SIGN_IN),
    "sign_in_unavailable": (
        _T,
        "Entra ID did not give a token just now; check the network if that lasts. It is tried again by itself.",
    ),
    LEASE_LOST: (_F, "Whoever leads then goes on with it."),
    "throttled": (_R, _SLOWER),
    "refused_by_client": (_I, "Correct the name or value that the message names; Azure was not asked."),
    "list_too_long": (_F, "Nothing is to be done: what lies beyond is not read, because no decision hangs on it."),
    "unreadable_answer": (
        _T,
        "The answer was not what Azure sends, perhaps that of a proxy; it is tried again by itself.",
    ),
    "provisioning_failed": (
        _T,
        "The last change of the resource failed without a word; writing it again repairs it.",
    ),
    "provisioning_canceled": (_T, "The last change of the resource was canceled; writing it again repairs it."),
}

_FOLDED = {code.lower(): _Meaning(*meaning) for code, meaning in TABLE.items()}

# Codes so general that only the words tell what is meant.
_WORDS: tuple[tuple[re.Pattern[str], _Meaning], ...] = (
    (
        re.compile(r"provisioning state is not terminal|does not provision correctly", re.IGNORECASE),
        _Meaning(_W, "The account is still being changed; it is tried again once it is settled."),
    ),
    (
        re.compile(r"no ?service ?endpoints? .*configured", re.IGNORECASE),
        _Meaning(*TABLE["SubnetsHaveNoServiceEndpointsConfigured"]),
    ),
    (
        re.compile(r"NetworkAcls is required", re.IGNORECASE),
        _Meaning(_I, "The account has a firewall: declare networkAcls as well."),
    ),
)
# Quota that is left and no hardware to use it on. No code of Azure's for that is on record, only such words in portals
# and in people's reports: so the words decide, whatever code and status they come with, but for the codes of quota
# itself, whose messages speak of capacity too. Unverified.
_NO_HARDWARE = re.compile(
    r"(insufficient|not enough|no) (available )?capacity|out of capacity"
    r"|not (currently )?have (sufficient|enough) capacity",
    re.IGNORECASE,
)
_OF_QUOTA = frozenset({"insufficientquota", "quotaexceeded"})
_NO_CAPACITY = _Meaning(
    FaultClass.CAPACITY,
    "Quota is left, but Azure has no hardware for it there now. It is asked again later; another region or deployment "
    "type may have some.",
)
_GENERAL = frozenset({"", "badrequest", "conflict", "operationnotallowed", "invalidrequest"})
# Wrappers that only say that something below them failed.
_WRAPPERS = frozenset({"operationerror", "resourcedeploymentfailure", "retryableerror", "multipleerrorsoccurred"})

# ARM names what it does not find. A 404 without a word is that of a proxy, an ingress or a front end that does not like
# the path, and says nothing about what exists.
_NOT_ARM = _Meaning(
    _I, "This is not an answer of Azure Resource Manager: check the cloud's endpoint, the proxy, the name."
)

_UNHEARD_OF = _Meaning(FaultClass.UNKNOWN, "Azure's message is all that is known about it.")

_BY_STATUS: Mapping[int, _Meaning] = {
    400: _Meaning(_I, "Correct what the message names."),
    401: _Meaning(_F, _SIGN_IN),
    403: _Meaning(_F, _GRANT),
    404: _Meaning(_A, _GONE),
    405: _Meaning(_I, "This cloud does not offer the operation."),
    408: _Meaning(_T, _LATER),
    409: _Meaning(_W, _BUSY),
    410: _Meaning(_A, _GONE),
    412: _Meaning(*TABLE["PreconditionFailed"]),
    423: _Meaning(_F, "It is locked; whoever locked it can lift that."),
    429: _Meaning(_R, _SLOWER),
    501: _Meaning(_I, "This cloud does not offer the operation."),
    504: _Meaning(*TABLE["GatewayTimeout"]),
}


def read_fault(status: int, headers: Mapping[str, str], text: str, body: Json) -> Fault:
    """The fault in an HTTP answer; `headers` have lower-case names, `body` is None where `text` was no JSON."""
    error = _envelope(body)
    code = _text(error, "code")
    message = _text(error, "message") or _page(text) or f"Azure answered {status} without a word"
    meaning = _meaning(code, message, error, status)
    return Fault(
        cls=meaning.cls,
        code=code or f"http_{status}",
        message=_with_details(message, error),
        advice=meaning.advice,
        status=status,
        retry_after=retry_after(headers),
        request_id=request_id(headers),
        applied=status >= 500 or status == 408,
    )


def read_operation_fault(body: JsonObject, headers: Mapping[str, str], otherwise: str) -> Fault:
    """Why a long-running operation failed, from what its status says; `otherwise` is our code where it says nothing."""
    error = _envelope(body.get("error"))
    code = _text(error, "code")
    message = _text(error, "message")
    if not code:
        return own_fault(
            otherwise, message or "The operation failed; Azure does not say why", request_id=request_id(headers)
        )
    meaning = _meaning(code, message, error, None)
    return Fault(
        cls=meaning.cls,
        code=code,
        message=_with_details(message, error),
        advice=meaning.advice,
        request_id=request_id(headers),
    )


def own_fault(
    code: str,
    message: str,
    *,
    applied: bool = True,
    retry_after: float | None = None,
    request_id: str | None = None,
) -> Fault:
    """A fault for which Azure gave no code: one of the lower-case ones in the table."""
    meaning = _FOLDED[code]
    return Fault(
        cls=meaning.cls,
        code=code,
        message=message,
        advice=meaning.advice,
        retry_after=retry_after,
        request_id=request_id,
        applied=applied,
    )


def request_id(headers: Mapping[str, str]) -> str | None:
    """What to quote to Azure's support: the correlation id, else the request's own."""
    return headers.get("x-ms-correlation-request-id") or headers.get("x-ms-request-id")


def _meaning(code: str, message: str, error: JsonObject, status: int | None) -> _Meaning:
    codes = [code.lower(), *(inner.lower() for inner in _inner_codes(error))]
    if codes[0] in _WRAPPERS:
        codes = [*codes[1:], codes[0]]
    if _NO_HARDWARE.search(message) and _OF_QUOTA.isdisjoint(codes):
        return _NO_CAPACITY
    if all(each in _GENERAL for each in codes):
        for pattern, meaning in _WORDS:
            if pattern.search(message):
                return meaning
    if status == 429 and codes[0] == "operationnotallowed":
        return _FOLDED["toomanyrequests"]
    for each in codes:
        if each in _FOLDED:
            return _FOLDED[each]
    return _meaning_of_status(status, named=bool(code))


def _meaning_of_status(status: int | None, *, named: bool) -> _Meaning:
    if status is None:
        return _UNHEARD_OF
    if status in (404, 410) and not named:
        return _NOT_ARM
    return _BY_STATUS.get(status) or (_Meaning(_T, _LATER) if status >= 500 else _UNHEARD_OF)


def _envelope(body: Json) -> JsonObject:
    """The object that holds `code` and `message`, in whatever wrapping it came."""
    if not isinstance(body, dict):
        return {}
    for name in ("error", "Error", "odata.error"):
        inner = body.get(name)
        if isinstance(inner, dict):
            return inner
    if isinstance(body.get("error"), str):  # Entra's own shape
        return {"code": body["error"], "message": body.get("error_description", "")}
    return body if "code" in body or "message" in body or "Message" in body else {}


def _inner_codes(error: JsonObject) -> list[str]:
    found: list[str] = []
    details = error.get("details")
    inner = error.get("innererror")
    for each in [*(details if isinstance(details, list) else []), inner]:
        if isinstance(each, dict):
            code = _text(each, "code")
            found += [code, *_inner_codes(each)] if code else _inner_codes(each)
    return found


def _with_details(message: str, error: JsonObject) -> str:
    """The message, and those of the details where they say more."""
    details = error.get("details")
    more = [_text(each, "message") for each in details if isinstance(each, dict)] if isinstance(details, list) else []
    return " ".join([message, *(each for each in more if each and each not in message)])


def _text(error: JsonObject, name: str) -> str:
    value = error.get(name, error.get(name.capitalize()))
    if isinstance(value, dict):  # odata: {"lang", "value"}
        value = value.get("value")
    return value.strip() if isinstance(value, str) else ""


def _page(text: str) -> str:
    """What a page of HTML, or a plain text, says, in one line."""
    title = re.search(r"<title>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    heading = re.search(r"<h2>(.*?)</h2>", text, re.IGNORECASE | re.DOTALL)
    words = " - ".join(match[1] for match in (title, heading) if match) or re.sub(r"<[^>]*>", " ", text)
    return " ".join(words.split())[:300]
