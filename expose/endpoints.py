"""`@expose.endpoint(...)`: says that a function is a REST endpoint, and changes nothing about it."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, TypeVar

METHODS: Final = ("GET", "POST", "PUT", "DELETE", "PATCH")
ATTRIBUTE: Final = "__plugbay_endpoints__"
"""Attribute of a decorated function: a tuple of its EndpointSpecs."""

_API = re.compile(r"[A-Za-z0-9_-]{1,64}")
_Function = TypeVar("_Function", bound=Callable[..., Any])


class EndpointSpec(NamedTuple):
    """One `@expose.endpoint(...)` line."""

    api: str
    methods: tuple[str, ...]
    timeout: float | None
    """Seconds one call may run; None: the installation's limit."""
    concurrency: int | None
    """Calls at once; None: no limit of its own."""
    module: str
    """Name of the Python module the function was written in."""
    function: str
    line: int
    """Line the function begins in; 0 when it has none."""


declared: Final[deque[EndpointSpec]] = deque(maxlen=4096)
"""Every decoration in this process, so that an endpoint which its module lost can be named."""


def endpoint(
    method: str | Iterable[str] = "GET",
    API: str | None = None,
    timeout: float | None = None,
    concurrency: int | None = None,
) -> Callable[[_Function], _Function]:
    """Exposes a function under `/rest/services/<API>/`, and returns it unchanged.

        @expose.endpoint()                                  # GET, under the function's own name
        def ping() -> str:
            return "pong"

        @expose.endpoint(method="GET|PUT", API="my-thing", timeout=2.5, concurrency=4)
        async def thing(name: str, size: int = 1) -> dict[str, object]: ...

    `method` is one or more of GET, POST, PUT, DELETE and PATCH: `"GET|PUT"` or a list. `API` defaults
    to the function's name. `timeout` is in seconds; `concurrency` is how many calls may run at once,
    above which callers get 429. Both only lower the installation's limits. A function may carry
    several of these lines; other decorators go below them.

    Raises ValueError or TypeError, saying what to write instead, for what cannot be exposed: names
    beginning with `__`, classes and their methods, unknown methods, and limits that make no sense.
    """
    if callable(method):
        raise TypeError("write @expose.endpoint() with brackets")
    methods = _methods(method)
    if API is not None:
        _check_api(API)
    _check_limits(timeout, concurrency)

    def expose_function(function: _Function) -> _Function:
        name = _name(function)
        if API is None:
            _check_api(name)
        code = getattr(function, "__code__", None)
        spec = EndpointSpec(
            api=API or name,
            methods=methods,
            timeout=None if timeout is None else float(timeout),
            concurrency=concurrency,
            module=function.__module__,
            function=name,
            line=code.co_firstlineno if code else 0,
        )
        setattr(function, ATTRIBUTE, (*getattr(function, ATTRIBUTE, ()), spec))
        declared.append(spec)
        return function

    return expose_function


def specs_of(value: object) -> tuple[EndpointSpec, ...]:
    """What `value` was decorated with; empty for anything else, whatever its attributes pretend."""
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return ()
    specs = attributes.get(ATTRIBUTE, ()) if not issubclass(type(value), type) else ()
    return specs if type(specs) is tuple and all(type(spec) is EndpointSpec for spec in specs) else ()


def _methods(given: str | Iterable[str]) -> tuple[str, ...]:
    names = given.split("|") if isinstance(given, str) else list(given)
    methods: list[str] = []
    for name in names:
        method = name.strip().upper() if isinstance(name, str) else name
        if method in ("HEAD", "OPTIONS"):
            raise ValueError(f"{method} is answered by the platform itself: leave it out of method={given!r}")
        if method not in METHODS:
            raise ValueError(f"{name!r} is not a method: write method='GET|POST', out of {', '.join(METHODS)}")
        if method not in methods:
            methods.append(method)
    if not methods:
        raise ValueError("an endpoint needs a method: write method='GET'")
    return tuple(methods)


def _check_api(api: str) -> None:
    if not isinstance(api, str):
        raise TypeError(f"API is {api!r}: write API='a-name'")
    if not _API.fullmatch(api):
        raise ValueError(f"API {api[:80]!r} must be 1 to 64 letters, digits, '-' or '_': write API='a-name'")
    if api.startswith("__"):
        raise ValueError(f"API {api!r} begins with '__': such names are the platform's own, choose another")


def _check_limits(timeout: float | None, concurrency: int | None) -> None:
    if timeout is not None:
        if isinstance(timeout, bool) or not isinstance(timeout, int | float):
            raise TypeError(f"timeout is {timeout!r}: write seconds, as timeout=2.5")
        if not 0 < timeout < float("inf"):
            raise ValueError(
                f"timeout is {timeout!r}: write more than 0 seconds, or leave it out for no limit of its own"
            )
    if concurrency is not None:
        if isinstance(concurrency, bool) or not isinstance(concurrency, int):
            raise TypeError(f"concurrency is {concurrency!r}: write a whole number of calls, as concurrency=4")
        if concurrency < 1:
            raise ValueError(f"concurrency is {concurrency}: write at least 1, or leave it out for no limit of its own")


def _name(function: object) -> str:
    if isinstance(function, type):
        raise TypeError(f"the class {function.__name__} cannot be exposed: write a function that uses it")
    name = getattr(function, "__name__", None)
    if not callable(function) or not isinstance(name, str):
        raise TypeError(f"{type(function).__name__} cannot be exposed: put @expose.endpoint() above a function")
    if "." in getattr(function, "__qualname__", name).rpartition("<locals>.")[2]:
        raise TypeError(f"{name} is a method of a class and cannot be exposed: write a function at module level")
    if name.startswith("__"):
        raise ValueError(f"{name} begins with '__' and is never exposed: give the function another name")
    return name
