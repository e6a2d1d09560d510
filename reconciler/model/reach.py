"""Reach: who gets through to an account, on which ports and along which path."""

from __future__ import annotations

from dataclasses import dataclass, field

from reconciler.model.ids import ArmId

# Sources that mean every address there is.
EVERYBODY, ANYBODY = "everybody", "any address"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Somebody gets through to an account.

    `source` is what people call them: an address range, a subnet, a service tag, everybody. `subnet` is its id where
    they are the workloads of one. `path` is how they come (`public endpoint`, `service endpoint`, `trusted services`,
    `private endpoint pe-swc`) and `via` the private endpoint that they come through. `ports` is `443`, `80, 443`,
    `1000-2000` or `any`. `addresses` are the first and last IPv4 addresses, as numbers, of all that `source` may stand
    for.
    """

    source: str
    target: ArmId
    path: str
    ports: str
    subnet: ArmId | None = None
    via: ArmId | None = None
    addresses: tuple[tuple[int, int], ...] = field(default=(), compare=False)

    @property
    def numeric(self) -> bool:
        """Whether `source` is exactly its addresses, and not somebody whom only Azure can tell."""
        return self.subnet is not None or self.source[:1].isdigit() or self.source in (EVERYBODY, ANYBODY)

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Sorts ways by whom they lead to, how, and for whom."""
        return self.target.key, self.path, self.source, self.ports
