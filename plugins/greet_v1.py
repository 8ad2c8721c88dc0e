"""Version 1 of an API: `/v1/greet/`, or `/greet_v1/greet/` by the module's own name."""

import expose

__alias__ = "v1"


@expose.endpoint()
def greet(name: str = "world") -> str:
    """Greets in English."""
    return f"Hello, {name}!"
