"""Declared types: arguments are converted before the function runs, and what does not fit answers 422."""

from dataclasses import dataclass
from typing import Literal

import expose


@expose.endpoint()
def add(a: int, b: int) -> int:
    """`/add/1/2/` and `/add/?a=1&b=2` both give 3."""
    return a + b


@expose.endpoint(method="GET|POST")
def average(numbers: list[float]) -> float:
    """Takes `?numbers=1&numbers=2`, a form, or the JSON body `{"numbers": [1, 2]}`."""
    if not numbers:
        raise expose.HTTPError(422, "there is no average of no numbers")
    return sum(numbers) / len(numbers)


@expose.endpoint()
def temperature(degrees: float, to: Literal["celsius", "fahrenheit"] = "celsius") -> float:
    """Converts from the one to the other."""
    return (degrees - 32) / 1.8 if to == "celsius" else degrees * 1.8 + 32


@dataclass
class Room:
    name: str
    width: float
    length: float


@expose.endpoint(method="POST")
def area(rooms: list[Room]) -> dict[str, float]:
    """Takes `{"rooms": [{"name": "hall", "width": 2, "length": 3}]}`; square metres by name."""
    return {room.name: room.width * room.length for room in rooms}
