"""Reach: who gets through to an account, on which ports and along which path."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.ids import ArmId


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Somebody gets through to an account.

    `source` is what people call them: an address range, a subnet, a service tag, everybody. `subnet` is its id where
    they are the workloads of one. `path` is how they come (`public endpoint`, `service endpoint`, `trusted services`,
    `private endpoint pe-swc`) and `via` the private endpoint that they come through. `ports` is `443`, `80, 443`,
    `1000-2000` or `any`.
    """

    source: str
    target: ArmId
    path: str
    ports: str
    subnet: ArmId | None = None
    via: ArmId | None = None

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Sorts ways by whom they lead to, how, and for whom."""
        return self.target.key, self.path, self.source, self.ports
