"""Answers other than a JSON value with status 200."""

import hashlib
import html

import expose

BOOKS = {1: "Emma", 2: "Ulysses"}


@expose.endpoint()
def page(name: str = "world") -> expose.Response:
    """A web page."""
    return expose.Response(f"<h1>Hello, {html.escape(name)}!</h1>", media_type="text/html; charset=utf-8")


@expose.endpoint(method="POST")
def note(text: str) -> expose.Response:
    """Sets the status and a header."""
    return expose.Response({"kept": text}, status=201, headers={"X-Letters": str(len(text))})


@expose.endpoint()
def book(number: int) -> str:
    """Answers 404 for a book that is not there."""
    if number not in BOOKS:
        raise expose.HTTPError(404, f"there is no book {number}")
    return BOOKS[number]


@expose.endpoint()
def digest(text: str) -> bytes:
    """Bytes are sent as they are."""
    return hashlib.sha256(text.encode()).digest()
