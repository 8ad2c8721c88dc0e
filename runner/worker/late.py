"""What the SDK imports only when a function needs it: found in SITE when that has left the import path."""

from __future__ import annotations

from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

PACKAGES: Final = frozenset({"pyotp"})


class Late:
    """Finds these packages in one folder. See importlib.abc.MetaPathFinder."""

    def __init__(self, site: str) -> None:
        self._places = [site]

    def find_spec(self, fullname: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:  # noqa: ARG002
        """The spec of one of the packages; what is in it is found as usual."""
        return PathFinder.find_spec(fullname, self._places) if fullname in PACKAGES else None
