"""What each of Azure's refusals is taken for, in whatever shape it comes."""

from __future__ import annotations

import json

import pytest

from reconciler.cloud.faults import TABLE, own_fault, read_fault, read_operation_fault
from reconciler.model.finding import FaultClass
from reconciler.model.wire import Json


def fault_of(status: int, body: Json, headers: dict[str, str] | None = None) -> tuple[FaultClass, str]:
    fault = read_fault(status, headers or {}, json.dumps(body), body)
    return fault.cls, fault.code


def error(code: str, message: str = "words", **more: Json) -> Json:
    return {"error": {"code": code, "message": message, **more}}


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "InsufficientQuota", FaultClass.QUOTA),
        (400, "InvalidResourceProperties", FaultClass.INVALID),
        (400, "DeploymentModelNotSupported", FaultClass.INVALID),
        (400, "ServiceModelDeprecated", FaultClass.INVALID),
        (400, "ServiceModelDeprecating", FaultClass.INVALID),
        (400, "SpecialFeatureOrQuotaIdRequired", FaultClass.FORBIDDEN),
        (400, "NetworkAclsBypassNotSupported", FaultClass.INVALID),
        (400, "SubnetsHaveNoServiceEndpointsConfigured", FaultClass.INVALID),
        (409, "FlagMustBeSetForRestore", FaultClass.SOFT_DELETED),
        (409, "CustomDomainInUse", FaultClass.INVALID),
        (409, "RequestConflict", FaultClass.CONFLICT),
        (409, "CannotDeleteResource", FaultClass.CONFLICT),
        (400, "AccountProvisioningStateInvalid", FaultClass.TRANSIENT),
        (404, "ResourceNotFound", FaultClass.ABSENT),
        (404, "DeploymentNotFound", FaultClass.ABSENT),
        (404, "ResourceGroupNotFound", FaultClass.ABSENT),
        (404, "ParentResourceNotFound", FaultClass.ABSENT),
        (404, "InvalidResourceType", FaultClass.INVALID),
        (404, "SubscriptionNotFound", FaultClass.FORBIDDEN),
        (403, "AuthorizationFailed", FaultClass.FORBIDDEN),
        (403, "LinkedAuthorizationFailed", FaultClass.FORBIDDEN),
        (403, "RequestDisallowedByPolicy", FaultClass.FORBIDDEN),
        (401, "ExpiredAuthenticationToken", FaultClass.FORBIDDEN),
        (401, "InvalidAuthenticationToken", FaultClass.FORBIDDEN),
        (409, "ScopeLocked", FaultClass.FORBIDDEN),
        (409, "ResourceGroupBeingDeleted", FaultClass.CONFLICT),
        (409, "MissingSubscriptionRegistration", FaultClass.FORBIDDEN),
        (412, "PreconditionFailed", FaultClass.CONFLICT),
        (429, "SubscriptionRequestsThrottled", FaultClass.THROTTLED),
        (429, "TooManyRequests", FaultClass.THROTTLED),
        (429, "OperationNotAllowed", FaultClass.THROTTLED),
        (429, "RetryableError", FaultClass.CONFLICT),
        (503, "ServerTimeout", FaultClass.TRANSIENT),
        (504, "GatewayTimeout", FaultClass.TRANSIENT),
        (500, "InternalServerError", FaultClass.TRANSIENT),
    ],
)
def test_the_code_decides(status: int, code: str, expected: FaultClass) -> None:
    fault = read_fault(status, {}, "", error(code))
    assert fault.cls is expected
    assert fault.code == code
    assert fault.advice


def test_a_code_is_known_in_any_case() -> None:
    assert fault_of(409, error("scopelocked"))[0] is FaultClass.FORBIDDEN


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, FaultClass.INVALID),
        (401, FaultClass.FORBIDDEN),
        (403, FaultClass.FORBIDDEN),
        (404, FaultClass.ABSENT),
        (410, FaultClass.ABSENT),
        (408, FaultClass.TRANSIENT),
        (409, FaultClass.CONFLICT),
        (418, FaultClass.UNKNOWN),
        (429, FaultClass.THROTTLED),
        (500, FaultClass.TRANSIENT),
        (502, FaultClass.TRANSIENT),
        (503, FaultClass.TRANSIENT),
        (504, FaultClass.TRANSIENT),
    ],
)
def test_the_status_decides_about_a_code_that_nobody_has_seen(status: int, expected: FaultClass) -> None:
    assert fault_of(status, error("BrandNewCode")) == (expected, "BrandNewCode")


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": "ScopeLocked", "message": "locked"}},
        {"code": "ScopeLocked", "message": "locked"},
        {"Error": {"Code": "ScopeLocked", "Message": "locked"}},
        {"odata.error": {"code": "ScopeLocked", "message": {"lang": "en", "value": "locked"}}},
    ],
)
def test_every_wrapping_is_understood(body: Json) -> None:
    fault = read_fault(409, {}, json.dumps(body), body)
    assert (fault.cls, fault.code, fault.message) == (FaultClass.FORBIDDEN, "ScopeLocked", "locked")


def test_a_page_of_html_is_read_in_one_line() -> None:
    page = "<!DOCTYPE html><html><head><title>Azure</title></head><body><h2>Not\n available</h2></body></html>"
    fault = read_fault(503, {}, page, None)
    assert (fault.cls, fault.code, fault.message) == (FaultClass.TRANSIENT, "http_503", "Azure - Not available")


@pytest.mark.parametrize("text", ["", "<html><title>404 - File or directory not found.</title></html>", "no route"])
def test_a_404_that_arm_did_not_write_says_nothing_about_what_exists(text: str) -> None:
    fault = read_fault(404, {}, text, None)
    assert (fault.cls, fault.code) == (FaultClass.INVALID, "http_404")
    assert "endpoint" in fault.advice


def test_an_empty_answer_still_says_something() -> None:
    fault = read_fault(502, {}, "", None)
    assert fault.cls is FaultClass.TRANSIENT
    assert "502" in fault.message


def test_the_details_speak_where_the_outside_says_nothing() -> None:
    details: Json = [{"code": "ResourceProviderError", "message": "the back end broke"}]
    fault = read_fault(409, {}, "", error("OperationError", "it failed", details=details))
    assert fault.cls is FaultClass.TRANSIENT
    assert fault.message == "it failed the back end broke"
    inner: Json = {"code": "InsufficientQuota", "message": "none left"}
    assert fault_of(400, error("Wrapper", details=[inner]))[0] is FaultClass.QUOTA
    assert fault_of(400, error("Wrapper", innererror={"code": "x", "innererror": inner}))[0] is FaultClass.QUOTA


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("The resource entity provisioning state is not terminal.", FaultClass.CONFLICT),
        ("The parent account does not provision correctly", FaultClass.CONFLICT),
        ("Subnets of the network have no ServiceEndpoints for Microsoft.X configured", FaultClass.INVALID),
        ("Not enough available capacity in the region", FaultClass.CAPACITY),
        ("Something else", FaultClass.INVALID),
    ],
)
def test_words_decide_where_the_code_says_nothing(message: str, expected: FaultClass) -> None:
    assert fault_of(400, error("BadRequest", message))[0] is expected


@pytest.mark.parametrize("status", [400, 409, 503])
@pytest.mark.parametrize("code", ["BadRequest", "InsufficientCapacity", "ServiceUnavailable", "SomethingNew"])
def test_a_lack_of_hardware_is_known_by_its_words_whatever_the_code(status: int, code: str) -> None:
    for words in (
        "The region 'swedencentral' does not currently have sufficient capacity for 5 units.",
        "There is insufficient capacity in the region",
        "The SKU is out of capacity",
    ):
        fault = read_fault(status, {}, "", error(code, words))
        assert fault.cls is FaultClass.CAPACITY
        assert fault.cls.blocking
        assert not fault.cls.retryable
        assert "hardware" in fault.advice


def test_a_lack_of_quota_is_no_lack_of_hardware_although_it_speaks_of_capacity() -> None:
    words = "This operation requires 5 new capacity in quota X, and there is not enough capacity available: 2"
    assert fault_of(400, error("InsufficientQuota", words))[0] is FaultClass.QUOTA


def test_the_account_that_lost_its_firewall_on_put_is_told_what_to_declare() -> None:
    fault = read_fault(400, {}, "", error("BadRequest", "NetworkAcls is required for this resouce."))
    assert "networkAcls" in fault.advice


def test_only_what_cannot_have_worked_is_said_to_have_had_no_effect() -> None:
    assert [read_fault(status, {}, "", None).applied for status in (400, 404, 409, 429)] == [False] * 4
    assert [read_fault(status, {}, "", None).applied for status in (408, 500, 502, 503, 504)] == [True] * 5
    assert own_fault("connection_cut", "cut").applied


def test_the_wait_and_the_id_to_quote_are_kept() -> None:
    headers = {"retry-after": "17", "x-ms-request-id": "r", "x-ms-correlation-request-id": "c"}
    fault = read_fault(429, headers, "", error("TooManyRequests"))
    assert (fault.retry_after, fault.request_id) == (17.0, "c")
    assert read_fault(429, {"retry-after": "soon"}, "", None).retry_after is None
    assert read_fault(429, {"x-ms-retry-after-ms": "1500"}, "", None).retry_after == 1.5


def test_a_failed_operation_says_why_or_that_it_does_not() -> None:
    failed: Json = {"status": "Failed", "error": {"code": "CustomDomainInUse", "message": "taken"}}
    assert isinstance(failed, dict)
    assert read_operation_fault(failed, {}, "provisioning_failed").code == "CustomDomainInUse"
    silent = read_operation_fault({"status": "Failed"}, {}, "provisioning_failed")
    assert (silent.code, silent.cls) == ("provisioning_failed", FaultClass.TRANSIENT)


def test_an_unknown_failure_of_an_operation_is_called_unknown() -> None:
    failed: dict[str, Json] = {"status": "Failed", "error": {"code": "Mystery", "message": "?"}}
    assert read_operation_fault(failed, {}, "provisioning_failed").cls is FaultClass.UNKNOWN


def test_entra_s_own_errors_are_read() -> None:
    body: Json = {"error": "invalid_client", "error_description": "AADSTS7000215"}
    fault = read_fault(401, {}, "", body)
    assert (fault.cls, fault.code, fault.message) == (FaultClass.FORBIDDEN, "invalid_client", "AADSTS7000215")


def test_every_row_of_the_table_ends_in_a_sentence() -> None:
    for code, (_, advice) in TABLE.items():
        assert advice[0].isupper(), code
        assert advice.endswith((".", "Microsoft.CognitiveServices")), code
