"""Path segments → endpoint, and the directory of all. A look-up costs the same however many endpoints there are."""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from catalogue.report import Endpoint
from catalogue.view import METHODS, ModuleView, Problem, Served, View

__all__ = [
    "Ambiguous",
    "Broken",
    "ModuleView",
    "NotFound",
    "Problem",
    "Target",
    "View",
    "allowed",
    "directory",
    "resolve",
]


class NotFound(Exception):
    """Nothing is exposed there; `status_text` is the answer's, `allow` the methods that exist."""

    def __init__(self, status_text: str, allow: tuple[str, ...] = ()) -> None:
        super().__init__(status_text)
        self.status_text = status_text
        self.allow = allow


class Ambiguous(Exception):
    """Several modules answer to what was addressed; `status_text` and `modules` name them."""

    def __init__(self, status_text: str, modules: tuple[str, ...]) -> None:
        super().__init__(status_text)
        self.status_text = status_text
        self.modules = modules


class Broken(Exception):
    """The module addressed never had a version that could be imported."""

    def __init__(self, module: str, problem: Problem) -> None:
        super().__init__(f"module {module}: {problem.text}")
        self.module = module
        self.problem = problem


class Target(msgspec.Struct, gc=False):
    """What a call is to run."""

    module: ModuleView
    endpoint: Endpoint
    prefix: bytes
    """`Served.prefix`."""
    addressed: str | None
    """The module or alias as the URL named it; None when it named none."""
    parameters: list[str]
    """The segments behind the API: URL parameters, not counted yet."""


_NONE: Final[dict[str, Any]] = {}


def resolve(view: View, method: str, segments: list[str]) -> Target:
    """The endpoint that these segments (behind the UUID, if any) address.

    A module or alias that is followed by something wins over an API of the same name. Raises
    NotFound, Ambiguous or Broken.
    """
    if len(segments) > 1:
        first = segments[0]
        module = view.named.get(first)
        if module is not None:
            if isinstance(module, ModuleView):
                served = module.table.get(method, _NONE).get(segments[1])
                if served is not None:
                    return Target(module, served.endpoint, served.prefix, first, segments[2:])
            raise _missing(view, method, segments)
    elif not segments:
        raise NotFound(f"nothing is addressed for {method}.")
    served = view.apis.get(method, _NONE).get(segments[0])
    if isinstance(served, Served):
        return Target(view.modules[served.module], served.endpoint, served.prefix, None, segments[1:])
    raise _missing(view, method, segments)


def allowed(view: View, segments: list[str]) -> tuple[str, ...]:
    """Methods for which these segments address something, HEAD beside GET; empty when there is nothing."""
    api = segments[0] if segments else ""
    tables: list[dict[str, dict[str, Any]]] = [cast("dict[str, dict[str, Any]]", view.apis)]
    named = view.named.get(api)
    if named is not None and len(segments) > 1:
        api = segments[1]
        tables = [module.table for module in (named if isinstance(named, list) else [named])]
    return tuple(
        method for method in ("GET", "HEAD", *METHODS[1:]) if any(api in table.get(method, _NONE) for table in tables)
    )


def _missing(view: View, method: str, segments: list[str]) -> Exception:
    """Why these segments address nothing for this method."""
    first = segments[0]
    module = view.named.get(first)
    inside = module is not None and len(segments) > 1
    if isinstance(module, list) and inside:
        return _several_claim(first, module)
    found = view.apis.get(method, _NONE).get(first)
    if isinstance(found, list) and not inside:
        names = tuple(served.module for served in found)
        return Ambiguous(f"{first} for {method} is in several modules: {', '.join(names)}.", names)
    if isinstance(module, ModuleView) and module.broken and module.problem is not None:
        return Broken(module.name, module.problem)
    where = f"{segments[1]} is undefined for {method} in {first}." if inside else f"{first} is undefined for {method}."
    return NotFound(where, allowed(view, segments))


def directory(view: View, module: str | None = None) -> dict[str, Any]:
    """What `__dir__` shows, as plain data: all modules of the owner, or the one of this name or alias.

    Raises NotFound when there is no such module and Ambiguous when several claim the alias.
    """
    shown = list(view.modules.values()) if module is None else [_named(view, module)]
    names = {one.name for one in shown}
    problems = [one.problem for one in shown if one.problem is not None]
    return {
        "status": "OK",
        "has_plugins": bool(shown),
        "modules": {one.name: _shown_module(one) for one in shown},
        "endpoints": {one.name: _shown_endpoints(one) for one in shown},
        "imports": {one.name: list(one.report.imports) for one in shown},
        "aliases": {
            alias: claimants[0].name
            for alias, claimants in view.aliases.items()
            if len(claimants) == 1 and claimants[0].name in names
        },
        "problems": msgspec.to_builtins(problems if module else [*problems, *view.problems]),
        "skipped": msgspec.to_builtins([] if module else view.skipped),
    }


def _named(view: View, name: str) -> ModuleView:
    found = view.named.get(name)
    if found is None:
        raise NotFound(f"{name} is undefined for GET.")
    if isinstance(found, list):
        raise _several_claim(name, found)
    return found


def _several_claim(alias: str, claimants: list[ModuleView]) -> Ambiguous:
    names = tuple(claimant.name for claimant in claimants)
    return Ambiguous(f"{alias} is the alias of several modules: {', '.join(names)}.", names)


def _shown_module(module: ModuleView) -> dict[str, Any]:
    return {
        "alias": module.alias,
        "digest": module.digest,
        "source": module.source,
        "doc": module.report.doc,
        "functions": list(module.report.functions),
        "serves": not module.broken,
        "problem": msgspec.to_builtins(module.problem),
    }


def _shown_endpoints(module: ModuleView) -> dict[str, dict[str, Any]]:
    return {
        method: {
            api: {
                "function": served.endpoint.function,
                "doc": served.endpoint.doc,
                "parameters": msgspec.to_builtins(served.endpoint.parameters),
                "concurrent": served.endpoint.concurrent,
                "timeout": served.endpoint.timeout,
                "concurrency": served.endpoint.concurrency,
            }
            for api, served in module.table[method].items()
        }
        for method in METHODS
        if method in module.table
    }
