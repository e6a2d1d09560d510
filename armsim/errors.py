"""Every refusal in one place: status, code, words and the wrapping that ARM puts around them.

Codes that no public source shows are marked where they are raised and listed in FIDELITY.md.
"""

from armsim.wire import Body, encode

FIX = "For more details please go to https://aka.ms/ARMResourceNotFoundFix"

UNAVAILABLE_PAGE = (
    "<!DOCTYPE html><html><head><title>AzureResourceManager</title></head><body><div id='content'><div id='message'>"
    "<h2>Our services aren't available right now</h2><p>We're working to restore all services as soon as possible. "
    "Please check back soon.</p></div></div></body></html>"
)
NOT_FOUND_PAGE = (
    "<!DOCTYPE html><html><head><title>404 - File or directory not found.</title></head><body><div id='content'>"
    "<h2>404 - File or directory not found.</h2><h3>The resource you are looking for might have been removed, had its "
    "name changed, or is temporarily unavailable.</h3></div></body></html>"
)


class ArmError(Exception):
    """An answer that is a refusal."""

    def __init__(self, status: int, code: str, message: str, cause: str = "service") -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.cause = cause
        self.headers: dict[str, str] = {}
        self.extra: Body = {}
        self.page: str | None = None
        # Private DNS leaves out the envelope.
        self.bare = False

    def render(self) -> bytes:
        if self.page is not None:
            return self.page.encode()
        if self.bare:
            return encode({"code": self.code, "message": self.message})
        return encode({"error": {"code": self.code, "message": self.message, **self.extra}})


def gateway(status: int, code: str, message: str) -> ArmError:
    """A refusal by ARM itself, not by the provider behind it."""
    return ArmError(status, code, message, "gateway")


def bad_request(message: str, code: str = "BadRequest") -> ArmError:
    return ArmError(400, code, message)


def network(code: str, message: str, status: int = 400) -> ArmError:
    """A refusal by Microsoft.Network, which always lists details and does not say whose failure it is."""
    error = ArmError(status, code, message, "")
    error.extra = {"details": []}
    return error


def retryable(code: str, message: str) -> ArmError:
    """429 that is about another operation, not about rates."""
    error = network("RetryableError", "A retryable error occurred.", 429)
    error.extra = {"details": [{"code": code, "message": message}]}
    return error


def dns(status: int, code: str, message: str) -> ArmError:
    """A refusal by private DNS."""
    error = ArmError(status, code, message, "")
    error.bare = True
    return error


def reference_not_found(target: str, by: str) -> ArmError:
    return network(
        "InvalidResourceReference",
        f"Resource {target} referenced by resource {by} was not found. Please make sure that the referenced resource "
        "exists, and that both resources are in the same region.",
    )


def linked_forbidden(client: str, object_id: str, action: str, linked: str, verb: str) -> ArmError:
    return gateway(
        403,
        "LinkedAuthorizationFailed",
        f"The client '{client}' with object id '{object_id}' has permission to perform action '{verb}'; however, it "
        f"does not have permission to perform action(s) '{action}' on the linked scope(s) '{linked}' (respectively) or "
        "the linked scope(s) are invalid.",
    )


def page(status: int, html: str) -> ArmError:
    error = ArmError(status, "", html[:60])
    error.page = html
    return error


def resource_not_found(path: str, group: str) -> ArmError:
    return gateway(
        404, "ResourceNotFound", f"The Resource '{path}' under resource group '{group}' was not found. {FIX}"
    )


def parent_not_found(verb: str, child: str, parent: str) -> ArmError:
    return gateway(
        404,
        "ParentResourceNotFound",
        f"Failed to perform '{verb}' on resource(s) of type '{child}', because the parent resource '{parent}' "
        "could not be found.",
    )


def group_not_found(name: str) -> ArmError:
    return gateway(404, "ResourceGroupNotFound", f"Resource group '{name}' could not be found.")


def group_being_deleted(name: str) -> ArmError:
    return gateway(
        409,
        "ResourceGroupBeingDeleted",
        f"The resource group '{name}' is in deprovisioning state and cannot perform this operation.",
    )


def subscription_not_found(name: str) -> ArmError:
    return gateway(404, "SubscriptionNotFound", f"The subscription '{name}' could not be found.")


def unknown_type(kind: str, namespace: str, version: str) -> ArmError:
    return gateway(
        404,
        "InvalidResourceType",
        f"The resource type '{kind}' could not be found in the namespace '{namespace}' for api version '{version}'. "
        "The supported api-versions are '2017-04-18,2023-05-01,2024-10-01,2025-06-01,2025-09-01'.",
    )


def method_not_allowed(method: str) -> ArmError:
    return gateway(405, "MethodNotAllowed", f"The http method '{method}' is not supported for this resource.")


def request_conflict(parent: str) -> ArmError:
    return ArmError(
        409,
        "RequestConflict",
        f"Another operation is being performed on the parent resource '{parent}'. Please try again later.",
    )


def not_terminal(resource: str) -> ArmError:
    return ArmError(
        409,
        "RequestConflict",
        f"Cannot modify resource with id '{resource}' because the resource entity provisioning state is not terminal. "
        "Please wait for the provisioning state to become terminal and then retry the request.",
    )


def locked(verb: str, scope: str, locks: list[str]) -> ArmError:
    return gateway(
        409,
        "ScopeLocked",
        f"The scope '{scope}' cannot perform {verb} operation because following scope(s) are locked: "
        f"'{', '.join(locks)}'. Please remove the lock and try again.",
    )


def unregistered(namespace: str) -> ArmError:
    error = gateway(
        409,
        "MissingSubscriptionRegistration",
        f"The subscription is not registered to use namespace '{namespace}'. See https://aka.ms/rps-not-found for how "
        "to register subscriptions.",
    )
    error.extra = {
        "details": [
            {"code": error.code, "target": namespace, "message": error.message},
        ]
    }
    return error


def forbidden(client: str, object_id: str, action: str, scope: str) -> ArmError:
    return gateway(
        403,
        "AuthorizationFailed",
        f"The client '{client}' with object id '{object_id}' does not have authorization to perform action "
        f"'{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, please refresh "
        "your credentials.",
    )


def throttled(verb: str, subscription: str, actor: str, seconds: int) -> ArmError:
    error = gateway(
        429,
        "SubscriptionRequestsThrottled",
        f"Number of '{verb}' requests for subscription '{subscription}' actor '{actor}' exceeded. Please try again "
        f"after '{seconds}' seconds after additional tokens are available. Refer to https://aka.ms/arm-throttling for "
        "additional information.",
    )
    error.headers["retry-after"] = str(seconds)
    return error


def insufficient_quota(pool: str, need: float, used: float, limit: float) -> ArmError:
    """The words of today; clients are known to parse the numbers out of them."""
    free = max(0.0, limit - used)
    return bad_request(
        f"This operation require {_number(need)} new capacity in quota {pool}, which is bigger than the current "
        f"available capacity {_number(free)}. The current quota usage is {_number(used)} and the quota limit is "
        f"{_number(limit)} for quota {pool}.",
        "InsufficientQuota",
    )


def no_capacity(status: int, code: str, region: str, what: str) -> ArmError:
    """The hardware is short, whatever the quota says. Nobody has shown the real answer; portals say it like this."""
    return ArmError(
        status,
        code,
        f"The region '{region}' does not currently have sufficient capacity for {what}. Please try again later or "
        "choose another region.",
    )


def disallowed_by_policy(name: str, message: str) -> ArmError:
    error = gateway(
        403,
        "RequestDisallowedByPolicy",
        f"Resource '{name}' was disallowed by policy. Reasons: '{message}'. See error details for policy resource IDs.",
    )
    error.extra = {
        "target": name,
        "additionalInfo": [{"type": "PolicyViolation", "info": {"policyDefinitionDisplayName": message}}],
    }
    return error


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)
