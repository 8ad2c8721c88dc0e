"""The smallest functions: what they are given, and how they get their names."""

from vyperlogix.decorators import expose


@expose.endpoint(method="GET|PUT|POST", API="hello-world")
def foo(*args, **kwargs):
    """Shows all that a function is given: body, query, URL parameters, and what the platform adds."""
    return {"args": args, "kwargs": kwargs}


@expose.endpoint(method=["PUT", "PATCH", "DELETE"])
def echo(__request__: dict, text: str = ""):
    """Without API= a function is called by its own name. Tells the method it was called with."""
    return with_method(__request__["method"], text)


def with_method(method: str, text: str) -> str:
    """Not decorated: other functions can use it, nobody can call it over REST."""
    return f"{method}: {text}"
