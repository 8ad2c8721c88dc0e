"""Version 2 of the same API, beside version 1. `/greet/` alone is in both modules, and answers 409."""

from typing import Literal

import expose

__alias__ = "v2"

GREETINGS = {"en": "Hello", "fr": "Bonjour", "is": "Halló"}


@expose.endpoint()
def greet(name: str = "world", language: Literal["en", "fr", "is"] = "en") -> dict[str, str]:
    """Greets in one of three languages."""
    return {"language": language, "greeting": f"{GREETINGS[language]}, {name}!"}
