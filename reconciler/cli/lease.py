"""Which lease the settings ask for."""

from __future__ import annotations

from reconciler.cli.call import Call, NoWritesError, UsageError
from reconciler.leading import LeaseChoice
from reconciler.runtime.kube import find_place
from reconciler.runtime.lease import Terms
from reconciler.settings import LeaseForm


def choose_lease_to_write(call: Call) -> LeaseChoice:
    """The lease for a command that writes once; refused where nothing is ever written."""
    if call.settings.observe_only:
        place = call.settings.given["observeOnly"].place
        plan = "plan with `reconciler once --dry-run`, or set it to false"
        raise NoWritesError(f"observeOnly is true ({place}), so nothing is written; {plan}")
    return choose_lease(call)


def choose_lease(call: Call) -> LeaseChoice:
    """The lease that the settings ask for. A simulated Azure of our own has nobody else to write to it."""
    settings = call.settings
    try:
        terms = Terms(duration=settings.lease_duration, deadline=settings.lease_deadline, retry=settings.lease_retry)
        if settings.lease is LeaseForm.OFF or call.simulation:
            return LeaseChoice()
        if settings.lease is LeaseForm.FILE and not settings.lease_file:
            raise UsageError("lease is file, but leaseFile names none; add --lease-file FILE")
        if settings.lease is LeaseForm.FILE:
            return LeaseChoice(file=settings.lease_file, who=settings.lease_identity, terms=terms)
        place = find_place(call.environment, settings.service_account, settings.lease_namespace)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return LeaseChoice(name=settings.lease_name, place=place, who=settings.lease_identity, terms=terms)
