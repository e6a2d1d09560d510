"""`Microsoft.CognitiveServices/deletedAccounts`: what a delete leaves behind, for 48 hours or until it is purged."""

from armsim import errors, operations
from armsim.clock import iso_fine
from armsim.cloud import Call, Cloud, Reply
from armsim.operations import Plan
from armsim.rp import connections
from armsim.rp.base import Place, account_etag
from armsim.store import DELETED, Grave, Operation, Resource
from armsim.wire import fold_location, join_list


def key_of(where: Place, location: str) -> str:
    """The folded id; an account is found again only in its own location."""
    return (
        f"/subscriptions/{where.subscription}/providers/microsoft.cognitiveservices/locations/"
        f"{fold_location(location)}/resourcegroups/{where.group}/deletedaccounts/{where.name}"
    ).lower()


def must_be_restored(grave: Grave) -> errors.ArmError:
    return errors.ArmError(
        409,
        "FlagMustBeSetForRestore",
        f"An existing resource with ID '{grave.account.id}' has been soft-deleted. To restore the resource, you must "
        "specify 'restore' to be 'true' in the property. If you don't want to restore existing resource, please purge "
        "it first.",
    )


def bury(cloud: Cloud, account: Resource, at: float, purge_at: float | None = None) -> None:
    """Soft delete: everything stays as it was, in another place, under another type."""
    parts = account.id.split("/")
    location = str(account.body["location"])
    due = at + cloud.settings.retention if purge_at is None else purge_at
    properties = {
        **account.body["properties"],
        "provisioningState": "Succeeded",
        "deletionDate": iso_fine(at),
        "scheduledPurgeDate": iso_fine(due),
    }
    id_ = (
        f"/subscriptions/{parts[2]}/providers/Microsoft.CognitiveServices/locations/{location}"
        f"/resourceGroups/{parts[4]}/deletedAccounts/{account.name}"
    )
    body = {
        **account.body,
        "id": id_,
        "type": "Microsoft.CognitiveServices/deletedAccounts",
        "etag": account_etag(cloud, account.location, at),
        "properties": properties,
    }
    tombstone = Resource(id_, body, at)
    tombstone.key = key_of(Place(parts[2], parts[4], account.name), location)
    tombstone.type = DELETED
    tombstone.held = ()
    children = cloud.world.children(account.key)
    for each in cloud.world.members(f"{account.key}/privateendpointconnections"):
        connections.mirror(cloud, connections.disconnected(each.body), at)
    cloud.world.bury(account.key, tombstone, Grave(account, children, location, due), at)
    cloud.world.lanes.pop(account.key, None)
    cloud.world.schedule(due, "expiry", tombstone.key)


def expire(cloud: Cloud, at: float, key: str) -> None:
    """Retention is over. An entry that was restored and deleted again has its own, later date."""
    grave = cloud.world.graves.get(key)
    if grave is not None and grave.purge_at <= at:
        cloud.world.purge(key, at, at + cloud.settings.purge_returns)


def give_back(cloud: Cloud, _at: float, ticket: str) -> None:
    """What a purged account held is free from now on."""
    cloud.world.give_back(ticket)


def get(cloud: Cloud, call: Call) -> Reply:
    """The etag is in the body only."""
    return Reply(200, _require(cloud, call).render())


def list_by_subscription(cloud: Cloud, call: Call) -> Reply:
    members = sorted(cloud.world.of_type(call.names[0].lower(), DELETED), key=lambda each: each.location)
    ids = ",".join(cloud.chance.guid() for _ in range(34))
    return Reply(200, join_list(each.render() for each in members), {"x-ms-original-request-ids": ids})


def purge(cloud: Cloud, call: Call) -> Reply:
    """202 in the account's own location; anywhere else there is just nothing to find."""
    subscription, location, group, name = call.names
    key = key_of(Place(subscription, group, name), location)
    grave = cloud.world.graves.get(key)
    if grave is None or grave.purging:
        return Reply(204)
    grave.purging = True
    operation = operations.start(
        cloud, call, Plan("Deleting", key, "account-purged", cloud.settings.purge, grave.location)
    )
    return Reply(202, headers=operations.async_headers(cloud, call, operation))


def settle_purge(cloud: Cloud, operation: Operation, at: float) -> None:
    grave = cloud.world.graves.get(operation.target)
    if grave is None:
        return
    grave.purging = False
    if operation.error is None:
        cloud.world.purge(operation.target, at, at + cloud.settings.purge_returns)


def _require(cloud: Cloud, call: Call) -> Resource:
    subscription, location, group, name = call.names
    found = cloud.world.get(key_of(Place(subscription, group, name), location))
    if found is None:
        raise errors.resource_not_found(
            f"Microsoft.CognitiveServices/locations/{location}/resourceGroups/{group}/deletedAccounts/{name}", group
        )
    return found
