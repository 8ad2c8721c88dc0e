"""From a call's arguments to a function's parameters: what its signature asks for, validated."""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable
from types import GenericAlias, SimpleNamespace
from typing import Any, Final

import msgspec
from msgspec import UNSET
from msgspec.structs import astuple

from calls.payload import Arguments, UploadedFile
from expose.files import File
from runner.worker import conversion
from runner.worker.conversion import ANYTHING, Problem, Wanted

PLATFORM: Final = frozenset({"func", "module", "uuid", "__request__", "__body__"})
"""Names the platform gives values to; URL parameters never fill them."""

_decode_object = msgspec.json.Decoder(dict[str, Any]).decode
_EMPTY = inspect.Parameter.empty


class InvalidArguments(Exception):
    """Arguments do not fit the signature; all that is wrong at once."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{problem.field}: {problem.problem}" for problem in problems))
        self.problems = problems


class MalformedArguments(Exception):
    """The JSON of the arguments cannot be decoded; the message says what is wrong and where."""


class BadSignature(ValueError):
    """The signature asks for what no request can give; the message tells the author what to change."""


class Plan:
    """How one function is called, worked out once. Raises BadSignature."""

    def __init__(self, function: Callable[..., Any]) -> None:
        parameters, spread, rest = _sorted(function)
        hints = _hints(function, [*parameters, *([spread] if spread else [])])
        self.parameters: tuple[inspect.Parameter, ...] = tuple(parameters)
        """The declared ones, without `*args` and `**kwargs`."""
        self._names = tuple(parameter.name for parameter in parameters)
        self._declared = frozenset(self._names)
        self._defaults = tuple(parameter.default for parameter in parameters)
        self._takes_rest = rest is not None
        self._fillable = tuple(name for name in self._names if name not in PLATFORM)
        self._only_positional = sum(parameter.kind is parameter.POSITIONAL_ONLY for parameter in parameters)
        self._positional = sum(parameter.kind is not parameter.KEYWORD_ONLY for parameter in parameters)
        self.accepts_request = self._takes_rest or "__request__" in self._declared
        """Whether `__request__` reaches the function."""

        # `*args` is given the field "args", unless that is the name of a parameter.
        self._spreads = spread is not None and "args" not in self._declared
        self._wanted = dict(zip(self._names, hints, strict=False))
        if self._spreads:
            each = hints[-1]
            self._wanted["args"] = (
                each if each is ANYTHING else Wanted(GenericAlias(list, (each.hint,)), True, each.takes_content)
            )
        self._adjusted = tuple((name, want) for name, want in self._wanted.items() if want[1:] != (False, False))
        self._required = frozenset(parameter.name for parameter in parameters if parameter.default is _EMPTY)
        self._struct = self._make_struct() if self._wanted else None

    def _make_struct(self) -> type[msgspec.Struct]:
        """All parameters as one type, so that one conversion does all; names as Python allows but Struct does not."""
        names = {f"p{number}": name for number, name in enumerate(self._wanted)}
        fields = [
            (field, self._wanted[name].hint) if name in self._required else (field, self._wanted[name].hint, UNSET)
            for field, name in names.items()
        ]
        return msgspec.defstruct("Parameters", fields, kw_only=True, rename=names)

    def bind(self, arguments: Arguments) -> tuple[list[Any], dict[str, Any]]:
        """Positional and keyword arguments that this function can be called with.
        Raises InvalidArguments and MalformedArguments."""
        named = self._by_name(arguments)
        if self._struct is None:
            return [], named if self._takes_rest else {}
        for name, want in self._adjusted:
            if name in named:
                named[name] = want.adjust(named[name])
        try:
            values = astuple(msgspec.convert(named, self._struct, strict=False, dec_hook=conversion.make))
        except msgspec.ValidationError as error:
            raise InvalidArguments(self._problems(named)) from error
        return self._arrange(values, named)

    def _by_name(self, arguments: Arguments) -> dict[str, Any]:
        """Every argument under its name: fields, then files, then the URL's, then the platform's own."""
        named = _decode(arguments.fields)
        if arguments.files:
            named |= _files(arguments.files)
        spare = []
        for name, text in arguments.parameters:
            named[name] = text
            if name not in self._declared:
                spare.append(text)
        named["func"] = arguments.api
        if arguments.module is not None:
            named["module"] = arguments.module
        if arguments.uuid is not None:
            named["uuid"] = arguments.uuid
        if arguments.body is not None:
            named["__body__"] = arguments.body
        named.pop("__request__", None)
        if arguments.request is not None and self.accepts_request:
            named["__request__"] = _decode(arguments.request)
        if spare:
            unnamed = (name for name in self._fillable if name not in named)
            named |= dict(zip(unnamed, spare, strict=False))
        return named

    def _problems(self, named: dict[str, Any]) -> list[Problem]:
        found: list[Problem] = []
        for name, want in self._wanted.items():
            if name in named:
                found += conversion.problems(name, named[name], want.hint)
            elif name in self._required:
                found.append(Problem(name, "is required"))
        return found

    def _arrange(self, values: tuple[Any, ...], named: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Gives each value once: by position where it must be, by name everywhere else."""
        positional: list[Any] = []
        extra: list[Any] = []
        if self._spreads:
            *declared, spread = values
            values = tuple(declared)
            extra = spread if isinstance(spread, list) else []
        count = self._positional if extra else self._only_positional
        if count:
            given = zip(values[:count], self._defaults, strict=False)
            positional = [default if value is UNSET else value for value, default in given]
        keywords = {
            name: value for name, value in zip(self._names[count:], values[count:], strict=True) if value is not UNSET
        }
        if self._takes_rest:
            keywords |= {name: value for name, value in named.items() if name not in self._declared}
        return positional + extra, keywords


def _decode(data: bytes) -> dict[str, Any]:
    try:
        return _decode_object(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedArguments(f"the arguments are not JSON that can be decoded: {error}") from error


def _files(uploaded: list[UploadedFile]) -> dict[str, File | list[File]]:
    """Files by field; a list where a field brought several."""
    found: dict[str, File | list[File]] = {}
    for each in uploaded:
        file = File(each.name, each.media_type, each.content)
        before = found.get(each.field)
        if before is None:
            found[each.field] = file
        elif isinstance(before, list):
            before.append(file)
        else:
            found[each.field] = [before, file]
    return found


def _sorted(
    function: Callable[..., Any],
) -> tuple[list[inspect.Parameter], inspect.Parameter | None, inspect.Parameter | None]:
    """The declared parameters, `*args` and `**kwargs`."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError, NameError) as error:
        raise BadSignature(f"{_called(function)}: its signature cannot be read: {error}") from error
    by_kind = {parameter.kind: parameter for parameter in parameters}
    various = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    declared = [parameter for parameter in parameters if parameter.kind not in various]
    return declared, by_kind.get(various[0]), by_kind.get(various[1])


def _hints(function: Callable[..., Any], parameters: list[inspect.Parameter]) -> list[Wanted]:
    """What each parameter's annotation asks for, in order; those written as text are evaluated."""
    inner = inspect.unwrap(function)
    names = getattr(inner, "__globals__", None) or vars(sys.modules.get(function.__module__, typing))
    found: list[Wanted] = []
    for parameter in parameters:
        if parameter.annotation is _EMPTY:
            found.append(ANYTHING)
            continue
        try:
            holder: Any = SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
            hints = typing.get_type_hints(holder, names, include_extras=True)
            found.append(conversion.wanted(hints[parameter.name]))
        except Exception as error:  # any error: an annotation is an expression of the author's
            written = parameter.annotation
            shown = written if isinstance(written, str) else inspect.formatannotation(written)
            raise BadSignature(
                f"{_called(function)}: parameter {parameter.name} is declared as {shown[:100]}: {error}"
            ) from error
    return found


def _called(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", type(function).__name__))
