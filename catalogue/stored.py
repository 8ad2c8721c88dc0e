"""What is stored of each owner, as far as this process knows, and which of it came from a plugin folder."""

from __future__ import annotations

from catalogue.views import readable
from store.contract import UPLOADED, Module, ModuleSet


class StoredSets:
    """The module set of each owner."""

    def __init__(self) -> None:
        self.sets: dict[str, ModuleSet] = {}
        """By owner, without modules whose report cannot be read."""
        self.from_folders: dict[tuple[str, str], Module] = {}
        """All modules that came from a plugin folder, by owner and name."""
        self.uploaded: set[tuple[str, str]] = set()
        """The others, by owner and name: no folder says anything about them."""

    def of(self, owner: str) -> ModuleSet:
        """The owner's set; at revision 0 when it never had any modules."""
        return self.sets.get(owner) or ModuleSet(owner=owner, revision=0, modules=())

    def keep(self, modules: ModuleSet) -> None:
        """Takes up an owner's set in place of the one before."""
        owner, known = modules.owner, self.of(modules.owner)
        self.sets[owner] = modules = readable(modules, known)
        for before in known.modules:
            self.from_folders.pop((owner, before.name), None)
            self.uploaded.discard((owner, before.name))
        for one in modules.modules:
            if one.source == UPLOADED:
                self.uploaded.add((owner, one.name))
            else:
                self.from_folders[owner, one.name] = one


def difference(before: ModuleSet, after: ModuleSet) -> str:
    """What is new, changed and gone, for the log."""
    old = {module.name: module for module in before.modules}
    new = {module.name: module for module in after.modules}
    parts = {
        "new": [name for name in new if name not in old],
        "changed": [name for name in new if name in old and new[name] != old[name]],
        "stopped": [name for name in old if name not in new],
    }
    return "; ".join(f"{what}: {', '.join(names)}" for what, names in parts.items() if names)
