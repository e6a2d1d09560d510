"""What can be set about the simulation: durations, sizes, variants. The defaults are the honest ones."""

from dataclasses import dataclass, fields, replace

from armsim.wire import Body, Json

TENANT = "11111111-1111-1111-1111-111111111111"
CLIENT = "22222222-2222-2222-2222-222222222222"
OBJECT = "33333333-3333-3333-3333-333333333333"
SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
# Not a secret: it opens nothing but a simulation on this machine.
CLIENT_SECRET = "simulated-secret"  # noqa: S105


# How a deployment is refused that a region lacks the hardware for. `Failed`: it is taken and fails later.
NO_CAPACITY = {"BadRequest": 400, "InsufficientCapacity": 409, "ServiceUnavailable": 503, "Failed": 0}


@dataclass(frozen=True, slots=True)
class Settings:
    """All times are simulated seconds; pairs are spread between low and high by name."""

    seed: int = 0
    latency: float = 0.0
    account_create: tuple[float, float] = (1.0, 40.0)
    account_update: float = 31.0
    account_delete: tuple[float, float] = (2.0, 7.0)
    sync_create: bool = False
    deployment_write: tuple[float, float] = (1.0, 16.0)
    deployment_delete: float = 1.0
    rai_write: float = 1.0
    connection_write: tuple[float, float] = (1.0, 22.0)
    purge: float = 1.0
    # How long a changed right takes to hold: the longest that the documentation warns of.
    rights_lag: float = 600.0
    # How long what a purged or expired account held still counts as used. Users speak of minutes.
    purge_returns: float = 90.0
    # The same for a deployment that is deleted or shrunk, which is documented to free its quota at once.
    deployment_returns: float = 0.0
    # When the service moves a version after it has announced to: within two weeks, not all at once.
    version_moves: tuple[float, float] = (0.0, 14 * 86_400.0)
    # How long after its date a quota tier rises by itself.
    tier_rises: float = 60.0
    group_delete: float = 77.0
    provider_register: float = 10.0
    # Microsoft.Network: the time of an operation, typical ones of the recordings.
    security_group_write: float = 3.0
    security_rule_write: float = 9.5
    network_write: float = 10.0
    subnet_write: float = 1.0
    endpoint_write: float = 32.0
    zone_group_write: float = 0.2
    network_delete: float = 10.0
    dns_zone_write: float = 25.0
    dns_link_write: float = 45.0
    # How long a link says InProgress after its operation has ended.
    dns_link_completes: float = 5.0
    # How long a network and its subnets say Updating after their operation has ended.
    subnet_settles: float = 0.0
    # How long the network provider goes on seeing an account as Accepted, and what it makes of it.
    account_view_lag: float = 5.0
    account_view_fails_operation: bool = False
    # How long an account is Accepted when an endpoint comes or goes.
    account_connects: float = 12.0
    # The api-version from which a PUT of a network without subnets leaves them alone.
    subnets_kept_since: str = "2023-11-01"
    network_page_size: int = 1000
    # Tokens and the seconds in which they come back.
    network_reads: tuple[float, float] = (10_000.0, 300.0)
    network_writes: tuple[float, float] = (1000.0, 300.0)
    dns_reads: tuple[float, float] = (500.0, 300.0)
    dns_writes: tuple[float, float] = (12_000.0, 3600.0)
    # When an event is found in the activity log.
    activity_lag: float = 120.0
    retention: float = 48 * 3600.0
    page_size: int = 100
    # Off in every recording; the service fills `Microsoft.DefaultV2` since 2026.
    rai_policy_default: str | None = None
    # Older than the end of 2023 when off.
    signed_operations: bool = True
    throttle: bool = True
    reads: tuple[float, float] = (250.0, 25.0)
    writes: tuple[float, float] = (200.0, 10.0)
    deletes: tuple[float, float] = (200.0, 10.0)
    global_factor: float = 15.0
    deployments_per_account: int = 32
    # One of NO_CAPACITY.
    no_capacity: str = "BadRequest"
    # Whether what is told of a region's capacity is no more than the quota that is left.
    capacities_within_quota: bool = True
    log_size: int = 200_000


def change(settings: Settings, changes: Body) -> Settings:
    """Settings with some values replaced; raises ValueError for a name that does not exist."""
    known = {each.name for each in fields(Settings)}
    unknown = sorted(set(changes) - known)
    if unknown:
        raise ValueError(f"no such settings: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    if changes.get("no_capacity", "Failed") not in NO_CAPACITY:
        raise ValueError(f"no_capacity is one of {', '.join(NO_CAPACITY)}; it is {changes['no_capacity']!r}")
    values: dict[str, Json] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in changes.items()
    }
    return replace(settings, **values)
