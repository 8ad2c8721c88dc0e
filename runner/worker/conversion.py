"""One argument as its declared type: what a hint stands for, and what does not fit it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import inspect as types

from expose.files import File

_MAX_PROBLEM: Final = 300
"""Characters of one problem's text; it may quote what the caller sent."""
_MAX_PROBLEMS: Final = 100
"""Problems told about one argument."""

_WITH_PATH = re.compile(r"(.*) - at (?:`key` in )?`\$(.*)`", re.DOTALL)
_SEQUENCES = (types.ListType, types.SetType, types.FrozenSetType, types.VarTupleType, types.TupleType)


class Problem(msgspec.Struct, frozen=True):
    """What is wrong with one argument, or with a place inside it (`item.price`, `tags[0]`)."""

    field: str
    problem: str


class Wanted(NamedTuple):
    """What a parameter's annotation asks for."""

    hint: Any
    """Type for msgspec; `Any` without annotation."""
    takes_one: bool = False
    """A list or set: a single text or file is taken as the only element."""
    takes_content: bool = False
    """Wants bytes: a file gives its content."""

    def adjust(self, value: object) -> object:
        """`value` in the shape msgspec converts from."""
        if self.takes_one and isinstance(value, str | File):
            value = [value]
        if self.takes_content:
            if isinstance(value, File):
                return value.content
            if isinstance(value, list):
                return [item.content if isinstance(item, File) else item for item in value]
        return value


ANYTHING: Final = Wanted(Any)


def wanted(hint: Any) -> Wanted:
    """Understands an annotation. Raises TypeError, for the author, when no argument can become that."""
    if hint is Any or hint is object:
        return ANYTHING
    nodes = list(_alternatives(types.type_info(hint)))
    leaves = [leaf for node in nodes for leaf in _leaves(node)]
    custom = [leaf.cls for leaf in leaves if isinstance(leaf, types.CustomType)]
    for kind in custom:
        if kind not in (File, object) and not hasattr(kind, "model_validate"):
            raise TypeError(
                f"{kind.__name__} cannot be made from a request: declare a type such as int, str, list[str], dict, "
                "datetime, UUID, an Enum, a dataclass, a TypedDict, a pydantic model or expose.File"
            )
    takes_one = any(isinstance(node, _SEQUENCES) for node in nodes) and not any(
        isinstance(node, types.StrType | types.AnyType) for node in nodes
    )
    takes_content = File not in custom and any(isinstance(leaf, types.BytesType) for leaf in leaves)
    return Wanted(hint, takes_one, takes_content)


def _alternatives(node: types.Type) -> Iterator[types.Type]:
    if isinstance(node, types.Metadata):
        yield from _alternatives(node.type)
    elif isinstance(node, types.UnionType):
        for alternative in node.types:
            yield from _alternatives(alternative)
    else:
        yield node


def _leaves(node: types.Type) -> Iterator[types.Type]:
    """What `node` holds, through collections but not into classes with fields."""
    inner: tuple[types.Type, ...]
    if isinstance(node, types.TupleType):
        inner = node.item_types
    elif isinstance(node, types.ListType | types.SetType | types.FrozenSetType | types.VarTupleType):
        inner = (node.item_type,)
    elif isinstance(node, types.DictType):
        inner = (node.key_type, node.value_type)
    else:
        yield node
        return
    for item in inner:
        for alternative in _alternatives(item):
            yield from _leaves(alternative)


def make(kind: type, value: Any) -> Any:
    """msgspec's `dec_hook`: files, and models that bring `model_validate`. Raises ValueError or TypeError."""
    if isinstance(value, kind):
        return value
    if kind is File:
        several = isinstance(value, list)
        raise TypeError("Expected one file, got several" if several else "Expected a file of a multipart body")
    validate = getattr(kind, "model_validate", None)
    if validate is None:
        raise TypeError(f"A {kind.__name__} cannot be made from a request")
    return validate(value)


def convert(value: object, hint: Any) -> Any:
    """`value` as `hint`; text is read as numbers, booleans, dates where those are wanted.
    Raises msgspec.ValidationError."""
    return msgspec.convert(value, hint, strict=False, dec_hook=make)


def problems(field: str, value: object, hint: Any) -> list[Problem]:
    """What keeps `value` from becoming `hint`; empty when nothing does."""
    try:
        convert(value, hint)
    except msgspec.ValidationError as error:
        text, path = str(error), ""
        if match := _WITH_PATH.fullmatch(text):
            text, path = match.groups()
        field += path
        return _of_model(field, error.__cause__) or [Problem(field, text[:_MAX_PROBLEM])]
    return []


def _of_model(field: str, error: BaseException | None) -> list[Problem]:
    """The single problems that a model's own validation lists (pydantic's `errors()`)."""
    listed = getattr(error, "errors", None)
    if listed is None:
        return []
    return [
        Problem(".".join([field, *map(str, item["loc"])]), str(item["msg"])[:_MAX_PROBLEM])
        for item in listed()[:_MAX_PROBLEMS]
    ]
