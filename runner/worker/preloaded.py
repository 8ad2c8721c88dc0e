"""The code of all that a zygote imports, in one file of the image: reading it from two hundred takes longer than
running it, above all under gVisor.

Run as a script while the image is built:

    preloaded.py ROOT SITE      see runner.worker.zygote; makes ROOT/preloaded
"""

from __future__ import annotations

# Nothing here may be a file of its own but mmap: it would be read before this can help.
import marshal
import mmap
import sys
from _frozen_importlib_external import MAGIC_NUMBER, SourceFileLoader, spec_from_file_location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType
    from typing import IO

_NAME = "preloaded"
_HEAD_LENGTH = 8
"""Bytes that say how long the index is, which follows; after it, the code of one module after the other."""

Entry = tuple[str, bool, int, int]
"""Path of its source, whether it is a package, and where its code begins and ends."""


class _Loader(SourceFileLoader):
    """As for any module from a source file, but that its code is here while a zygote imports."""

    def __init__(self, name: str, path: str, finder: Finder) -> None:
        super().__init__(name, path)
        self._finder = finder

    def get_code(self, fullname: str) -> CodeType | None:
        return self._finder.code(fullname) or super().get_code(fullname)


class Finder:
    """Finds what the file has until it is closed. See importlib.abc.MetaPathFinder."""

    def __init__(self, file: IO[bytes]) -> None:
        """Raises ValueError when another Python has made it."""
        self._memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        start = _HEAD_LENGTH + int.from_bytes(self._memory[:_HEAD_LENGTH], "big")
        magic, self._index = marshal.loads(self._memory[_HEAD_LENGTH:start])  # noqa: S302  # the image's own
        if magic != MAGIC_NUMBER:
            raise ValueError(f"{_NAME} is another Python's")
        self._start = start

    def find_spec(self, fullname: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:  # noqa: ARG002
        """The spec of a module that is here."""
        entry: Entry | None = self._index.get(fullname)
        if entry is None:
            return None
        source, package, _, _ = entry
        folders = [source.rpartition("/")[0]] if package else None
        loader = _Loader(fullname, source, self)
        return spec_from_file_location(fullname, source, loader=loader, submodule_search_locations=folders)

    def code(self, fullname: str) -> CodeType | None:
        """The code of a module that is here."""
        entry: Entry | None = self._index.get(fullname)
        if entry is None:
            return None
        code: CodeType = marshal.loads(self._memory[self._start + entry[2] : self._start + entry[3]])  # noqa: S302
        return code

    def close(self) -> None:
        """Everything is found as usual from now on."""
        sys.meta_path.remove(self)
        self._index = {}
        self._memory.close()


_finders: list[Finder] = []


def install(root: str) -> None:
    """Imports what `root` has preloaded from there; without effect where it has nothing that this Python can use."""
    try:
        with open(f"{root}/{_NAME}", "rb") as file:  # noqa: PTH123  # pathlib is not there yet
            finder = Finder(file)
    except (FileNotFoundError, ValueError):
        return
    sys.meta_path.insert(0, finder)
    _finders.append(finder)


def close() -> None:
    """Everything is found as usual from now on."""
    while _finders:
        _finders.pop().close()


def _make(root: str) -> None:
    __import__("runner.worker.zygote")
    index: dict[str, Entry] = {}
    blocks: list[bytes] = []
    size = 0
    for spec in [getattr(module, "__spec__", None) for module in sys.modules.values()]:
        if spec is None or type(spec.loader) is not SourceFileLoader or spec.origin is None:
            continue
        # Without docstrings, of which every zygote would keep its own copy in memory.
        source = spec.loader.get_data(spec.origin)
        block = marshal.dumps(compile(source, spec.origin, "exec", dont_inherit=True, optimize=2))
        index[spec.name] = (spec.origin, spec.submodule_search_locations is not None, size, size + len(block))
        blocks.append(block)
        size += len(block)
    head = marshal.dumps((MAGIC_NUMBER, index))
    with open(f"{root}/{_NAME}", "wb") as file:  # noqa: PTH123
        file.writelines([len(head).to_bytes(_HEAD_LENGTH, "big"), head, *blocks])


if __name__ == "__main__":
    sys.path[:0] = sys.argv[1:3]
    _make(sys.argv[1])
