"""The owner's modules inside a worker: imported from their bundles on first use."""

from __future__ import annotations

import builtins
import functools
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final

from calls import bundle
from runner.worker.imports import AllowList

VENDORED: Final = "vendored"
"""Folder of a package whose modules can be imported by their own names: what it depends on and brings along."""


class ImportFailed(Exception):
    """A module could not be imported. The text names the error and, where known, the line;
    `trace` is the traceback for the author."""

    def __init__(self, text: str, trace: str) -> None:
        super().__init__(text)
        self.text = text
        self.trace = trace


class _SourceLoader(importlib.abc.InspectLoader):
    """Loads a single-file module from memory; tracebacks find its source lines here."""

    def __init__(self, source: bytes, builtin_names: dict[str, Any]) -> None:
        self._source = source
        self._builtin_names = builtin_names

    def get_source(self, fullname: str) -> str:  # noqa: ARG002
        return importlib.util.decode_source(self._source)

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self._source, f"{fullname}.py")

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__builtins__"] = self._builtin_names
        super().exec_module(module)


class _FileLoader(importlib.machinery.SourceFileLoader):
    """Loads a file of an unpacked package."""

    def __init__(self, fullname: str, path: str, builtin_names: dict[str, Any]) -> None:
        super().__init__(fullname, path)
        self._builtin_names = builtin_names

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__builtins__"] = self._builtin_names
        super().exec_module(module)


class Modules(importlib.abc.MetaPathFinder):
    """Finds the owner's modules, before anything else of the same name.

    A single file stays in memory. A package is unpacked into `folder` when it is first imported, so
    that data beside its `__file__` is there; what it brings along can be imported from then on.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bundles: dict[str, bytes] = {}
        self._builtin_names = vars(builtins)
        self._allowed: AllowList | None = None

    def add(self, name: str, data: bytes) -> None:
        """Makes a module importable. Only before plugin code runs."""
        self._bundles[name] = data

    def install(self, allowed: AllowList | None) -> None:
        """Takes its place in the import system. `allowed`: what the owner's code may import; None: anything."""
        sys.meta_path.insert(0, self)
        if allowed is not None:
            self._allowed = allowed
            self._builtin_names = allowed.builtins
            allowed.add(self._bundles)
            allowed.install()
            sys.path_hooks.insert(0, self._folder_finder)

    def _folder_finder(self, path: str) -> importlib.machinery.FileFinder:
        """Finds what lies in a package that was unpacked (see sys.path_hooks)."""
        if not Path(path).is_relative_to(self._folder):
            raise ImportError("no folder of the owner's packages", path=path)
        loader: Any = functools.partial(_FileLoader, builtin_names=self._builtin_names)
        return importlib.machinery.FileFinder(path, (loader, importlib.machinery.SOURCE_SUFFIXES))

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of one of the owner's top-level modules; their submodules are found as usual."""
        data = self._bundles.get(fullname)
        if data is None or path is not None:
            return None
        files = bundle.unpack(data)
        source = files.get(f"{fullname}.py")
        if source is not None:
            loader = _SourceLoader(source, self._builtin_names)
            return importlib.util.spec_from_loader(fullname, loader, origin=f"{fullname}.py")
        top = self._unpack(fullname, files)
        init = str(top / "__init__.py")
        return importlib.util.spec_from_file_location(
            fullname,
            init,
            loader=_FileLoader(fullname, init, self._builtin_names),
            submodule_search_locations=[str(top)],
        )

    def _unpack(self, name: str, files: dict[str, bytes]) -> Path:
        for relative, content in files.items():
            place = self._folder / relative
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        vendored = self._folder / name / VENDORED
        if vendored.is_dir():
            sys.path.append(str(vendored))  # the last place: nothing of Python or the platform is found there instead
            if self._allowed is not None:
                found = {entry.name.partition(".")[0] for entry in vendored.iterdir()}
                self._allowed.add(found - sys.stdlib_module_names - sys.modules.keys())
        return self._folder / name

    def load(self, name: str) -> ModuleType:
        """The imported module. Raises ImportFailed, also when the module tries to exit."""
        module = sys.modules.get(name)
        if module is not None and name in self._bundles:
            return module
        if name not in self._bundles:
            raise ImportFailed(f"module {name} is not there", "")
        try:
            return importlib.import_module(name)
        except BaseException as error:
            raise ImportFailed(self._describe(name, error), "".join(traceback.format_exception(error))) from error

    def _describe(self, name: str, error: BaseException) -> str:
        try:
            text = f"{type(error).__name__}: {error}"[:1000]
        except Exception as unprintable:  # noqa: BLE001  # any error: plugin code prints this one
            text = f"{type(error).__name__}: ({type(unprintable).__name__} while printing it)"
        line = error.lineno if isinstance(error, SyntaxError) else self._line_in(name, error)
        return f"{text} (line {line})" if line and f"line {line}" not in text else text

    def _line_in(self, name: str, error: BaseException) -> int | None:
        own = (f"{name}.py", str(self._folder / name))
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(own)]
        return lines[-1] if lines else None
