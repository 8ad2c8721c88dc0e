"""The versions of a module that was uploaded."""

from __future__ import annotations

from store.contract import UPLOADED, Module, ModuleSet, Version


class NoVersion(Exception):
    """There is no such uploaded module, or no such version of it; the message says which."""


def uploaded_of(modules: ModuleSet) -> dict[str, Module]:
    """The modules of a set that are uploads, by name."""
    return {module.name: module for module in modules.modules if module.source == UPLOADED}


def history(module: Module | None) -> tuple[Version, ...]:
    """The versions of a module; one that was uploaded before versions were kept is the first."""
    if module is None or module.versions:
        return module.versions if module else ()
    return (Version(1, module.digest, 0.0),)


def version_of(module: Module, number: int) -> Version:
    """One of the versions. Raises NoVersion."""
    found = next((version for version in module.versions if version.number == number), None)
    if found is None:
        raise NoVersion(f"There is no version {number} of module {module.name}.")
    return found
