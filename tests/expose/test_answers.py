"""`Response`, `HTTPError` and `File`, as authors meet them in their own tests."""

from __future__ import annotations

import copy
import pickle
from http import HTTPStatus

import pytest

import expose


def test_a_response_has_sensible_defaults() -> None:
    response = expose.Response()
    assert (response.body, response.status, response.headers, response.media_type) == (None, 200, (), None)


def test_headers_are_a_mapping_or_pairs() -> None:
    assert expose.Response(headers={"X-A": "1"}).headers == (("X-A", "1"),)
    twice = [("Link", "a"), ("Link", "b")]
    assert expose.Response(headers=twice).headers == (("Link", "a"), ("Link", "b"))


def test_a_named_status_is_its_number() -> None:
    status = expose.Response(status=HTTPStatus.CREATED).status
    assert (status, type(status)) == (201, int)


@pytest.mark.parametrize("status", [0, 100, 199, 600, -1])
def test_a_response_refuses_other_statuses(status: int) -> None:
    with pytest.raises(ValueError, match="from 200 to 599"):
        expose.Response(status=status)


@pytest.mark.parametrize("status", [200, 302, 399, 600])
def test_an_error_refuses_other_statuses(status: int) -> None:
    with pytest.raises(ValueError, match="from 400 to 599"):
        expose.HTTPError(status, "no")


def test_an_error_carries_what_callers_get() -> None:
    error = expose.HTTPError(404, {"missing": "book"})
    assert (error.status, error.detail) == (404, {"missing": "book"})
    assert str(error) == "404: {'missing': 'book'}"


def test_errors_survive_copying_and_pickling() -> None:
    for error in (expose.HTTPError(404, "no"), expose.CommandFailed("node ended", 3, "why")):
        assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301  # made one line above
        assert str(copy.copy(error)) == str(error)


def test_a_file_does_not_print_its_content() -> None:
    file = expose.File("a.png", "image/png", b"secret")
    assert repr(file) == "File('a.png', 'image/png', 6 bytes)"
    assert file == expose.File("a.png", "image/png", b"secret")
    assert file != expose.File("b.png", "image/png", b"secret")
    assert file != "a.png"
    assert len({file, expose.File("a.png", "image/png", b"secret")}) == 1
