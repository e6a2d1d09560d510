"""Loads of the Azure SDK what is used of it: clients, and the operations that somebody names.

Microsoft.Network's package alone takes 42 MiB of a process: models that are never made in here, and the operations of
160 kinds of resources that nobody names, each twice. Whatever is left out is there by name, so that the package loads
as ever, and has nothing in it. Other packages are small and loaded whole, and so is what somebody has loaded before.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

_MODELS = re.compile(r"azure\.mgmt\.network\.(models|types)")
_OPERATIONS = re.compile(r"azure\.mgmt\.network(\.aio)?\.operations\._operations")


class Unmade:
    """What stands for every model: a name in a signature."""


class _NoModels(ModuleType):
    def __getattr__(self, name: str) -> type[Unmade]:
        if name.startswith("__"):
            raise AttributeError(name)
        return Unmade


class _ModelsLoader(Loader):
    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _NoModels(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        del module


class _OperationsLoader(SourceFileLoader):
    """Empties what is not wanted after it was read and before it is made."""

    def __init__(self, spec: ModuleSpec, groups: frozenset[str]) -> None:
        super().__init__(spec.name, str(spec.origin))
        self._groups = groups

    def get_code(self, fullname: str) -> CodeType:
        code = super().get_code(fullname)
        assert code is not None
        return code.replace(co_consts=tuple(self._sift(each) for each in code.co_consts))

    def _sift(self, constant: object) -> object:
        """A class of operations, or a function that builds a request, as it is or empty; all else as it is."""
        if not isinstance(constant, CodeType):
            return constant
        folded = constant.co_name.replace("_", "").lower()
        if folded.endswith("operations"):
            return constant if folded.removesuffix("operations") in self._groups else _EMPTY_CLASS
        if folded.startswith("build") and not any(folded.startswith(f"build{group}") for group in self._groups):
            return _EMPTY_FUNCTION
        return constant


# What the compiler makes of these is put in place of what it made of others.
_EMPTY_CLASS, _EMPTY_FUNCTION = (
    next(each for each in compile(text, "<left out>", "exec").co_consts if isinstance(each, CodeType))
    for text in ("class LeftOut:\n    def __init__(self, *_, **__): pass", "def left_out(*_, **__): pass")
)


class _Finder(MetaPathFinder):
    def __init__(self, groups: Iterable[str]) -> None:
        self._groups = frozenset(each.replace("_", "") for each in groups)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if _MODELS.fullmatch(fullname):
            return ModuleSpec(fullname, _ModelsLoader())
        if _OPERATIONS.fullmatch(fullname):
            spec = PathFinder.find_spec(fullname, path, target)
            if spec is not None and isinstance(spec.loader, SourceFileLoader):
                spec.loader = _OperationsLoader(spec, self._groups)
            return spec
        return None


@contextmanager
def sparingly(groups: Iterable[str]) -> Iterator[None]:
    """Whatever is loaded of the package of networks within the block has no models, and only operations of `groups`."""
    finder = _Finder(groups)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
