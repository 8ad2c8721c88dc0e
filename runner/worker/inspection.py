"""What a module exposes, found by importing it. The result is `catalogue.report.Report` as JSON."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any, Final

import msgspec

from expose.endpoints import EndpointSpec, declared, specs_of
from runner.worker.binding import Plan

MAX_ENDPOINTS: Final = 1000
MAX_PARAMETERS: Final = 100
MAX_NAMES: Final = 1000
"""Undecorated functions and imports listed at most, each; what is above is left out."""
MAX_DOC: Final = 4096
"""Bytes of a docstring; the rest is cut off."""
MAX_REPORT: Final = 4 * 1024 * 1024
"""Bytes of the whole report."""
_MAX_SHOWN: Final = 100
"""Characters of an annotation or a default value."""

Function = Callable[..., Any]


def endpoint_functions(module: ModuleType) -> dict[str, Function]:
    """The decorated functions of a module, by name. A package's are also those of its submodules that
    are imported by now, as `submodule.name`; what a module imports from others is not its own."""
    found: dict[str, Function] = {}
    seen: set[int] = set()
    for prefix, part in _parts(module):
        for name, value in list(vars(part).items()):
            if not specs_of(value) or name.startswith("__") or not _own(value, module) or not callable(value):
                continue
            if id(value) not in seen:
                seen.add(id(value))
                found[prefix + name] = value
    return found


def inspect_module(module: ModuleType) -> bytes:
    """The module's report. Raises ValueError, telling its author what to change, when it exposes
    something twice, something that no call can reach, or too much."""
    functions = endpoint_functions(module)
    _check_reachable(module, functions)
    endpoints = [_endpoint(name, function, spec) for name, function in functions.items() for spec in specs_of(function)]
    if len(endpoints) > MAX_ENDPOINTS:
        raise ValueError(f"{len(endpoints)} endpoints: a module has at most {MAX_ENDPOINTS}; split it")
    _check_unique(endpoints)
    report = msgspec.json.encode(
        {
            "doc": _doc(module),
            "endpoints": endpoints,
            "functions": _plain_functions(module)[:MAX_NAMES],
            "imports": _imports(module)[:MAX_NAMES],
        }
    )
    if len(report) > MAX_REPORT:
        raise ValueError(f"the description of its endpoints is larger than {MAX_REPORT} bytes; split the module")
    return report


def _parts(module: ModuleType) -> Iterator[tuple[str, ModuleType]]:
    """The module, and after it its submodules that are imported, each with its prefix."""
    yield "", module
    start = f"{module.__name__}."
    for name, part in sorted(sys.modules.items()):
        if name.startswith(start) and isinstance(part, ModuleType):
            yield f"{name.removeprefix(start)}.", part


def _own(value: object, module: ModuleType) -> bool:
    """Whether the function was written in this module or below it."""
    written_in = getattr(value, "__module__", None)
    return written_in == module.__name__ or str(written_in).startswith(f"{module.__name__}.")


def _check_reachable(module: ModuleType, functions: dict[str, Function]) -> None:
    reachable = {id(spec) for function in functions.values() for spec in specs_of(function)}
    for spec in declared:
        own = spec.module == module.__name__ or spec.module.startswith(f"{module.__name__}.")
        if own and id(spec) not in reachable:
            raise ValueError(
                f"{spec.function} (line {spec.line}) is exposed as {spec.api}, but the module has no such function any "
                "more: give each function a name of its own, at module level, and put @expose.endpoint above its "
                "other decorators"
            )


def _check_unique(endpoints: list[dict[str, Any]]) -> None:
    taken: dict[tuple[str, str], str] = {}
    for endpoint in endpoints:
        for method in endpoint["methods"]:
            key = (endpoint["api"], method)
            if key in taken:
                raise ValueError(
                    f"{method} {key[0]} is exposed by {taken[key]} and by {endpoint['function']}: give one another API"
                )
            taken[key] = endpoint["function"]


def _endpoint(name: str, function: Function, spec: EndpointSpec) -> dict[str, Any]:
    plan = Plan(function)
    if len(plan.parameters) > MAX_PARAMETERS:
        raise ValueError(f"{name} has {len(plan.parameters)} parameters: an endpoint has at most {MAX_PARAMETERS}")
    return {
        "api": spec.api,
        "methods": spec.methods,
        "function": name,
        "doc": _doc(function),
        "concurrent": inspect.iscoroutinefunction(function),
        "timeout": spec.timeout,
        "concurrency": spec.concurrency,
        "wants_request": plan.accepts_request,
        "parameters": [_parameter(each) for each in plan.parameters if each.name not in ("func", "__request__")],
    }


def _parameter(parameter: inspect.Parameter) -> dict[str, Any]:
    required = parameter.default is parameter.empty
    written = parameter.annotation
    if written is parameter.empty:
        shown = ""
    else:
        shown = written if isinstance(written, str) else inspect.formatannotation(written)
    return {
        "name": parameter.name,
        "type": _text(shown, _MAX_SHOWN),
        "required": required,
        "default": "" if required else _text(_repr(parameter.default), _MAX_SHOWN),
    }


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001  # any error: plugin code prints its own default
        return f"({type(error).__name__} while printing it)"


def _doc(documented: object) -> str:
    text = getattr(documented, "__doc__", None)
    return _text(inspect.cleandoc(text), MAX_DOC) if isinstance(text, str) else ""


def _text(text: str, max_bytes: int) -> str:
    """Valid text of at most `max_bytes` as UTF-8."""
    return text.encode("utf-8", "replace")[:max_bytes].decode("utf-8", "ignore")


def _plain_functions(module: ModuleType) -> list[str]:
    return sorted(
        name
        for name, value in vars(module).items()
        if type(value) is FunctionType and not name.startswith("_") and _own(value, module) and not specs_of(value)
    )


def _imports(module: ModuleType) -> list[str]:
    """Top-level names of everything that the source imports, anywhere in it, besides itself."""
    names: set[str] = set()
    for _, part in _parts(module):
        for node in ast.walk(ast.parse(_source(part))):
            if isinstance(node, ast.Import):
                names.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return sorted(names - {"__future__", module.__name__})


def _source(module: ModuleType) -> str:
    """The source the module was loaded from; empty when its loader has none (an extension module)."""
    get_source = getattr(getattr(module.__spec__, "loader", None), "get_source", None)
    return (get_source(module.__name__) if get_source else None) or ""
