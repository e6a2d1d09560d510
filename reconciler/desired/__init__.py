"""Desired state: files in, fleets out. `load_estate` reads, fills in, validates and connects documents."""

from reconciler.desired.fleet import load_estate

__all__ = ["load_estate"]
