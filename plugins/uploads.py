"""What is neither JSON nor query: files of a multipart form, and bodies of any other kind."""

import hashlib

import expose


@expose.endpoint(method="POST", API="count-words")
def count_words(document: expose.File) -> dict[str, object]:
    """A file arrives under the name of its form field."""
    return {"name": document.name, "words": len(document.content.split())}


@expose.endpoint(method="POST|PUT")
def checksum(__body__: bytes) -> str:
    """Any other body arrives as it was sent."""
    return hashlib.sha256(__body__).hexdigest()
