"""Given a multipart body, when it is read, then fields and files are what was sent, no file name is a path,
and what is malformed is refused saying where."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bad_request import BadRequest
from gateway.request.multipart import decode_multipart
from tests.gateway.bodies import MB, plain, read, refused

MULTIPART = b"multipart/form-data; boundary=XX"


def part(head: str, content: bytes = b"x") -> bytes:
    return b"--XX\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n"


FIELD = 'Content-Disposition: form-data; name="a"'
FILE = FIELD + '; filename="f.txt"'
END = b"--XX--\r\n"


def test_multipart_fields_and_files() -> None:
    body = b"".join(
        [
            part(FIELD, "é\r\n--X".encode()),
            part(
                'content-disposition: FORM-DATA; filename="up.csv"; name=file\r\ncontent-type: text/csv', b"1,2\r\n\xff"
            ),
            part('Content-Disposition: form-data; name="b"\r\nContent-Type: text/plain; charset=UTF-8', b""),
            part(FIELD, b"second"),
            part(FILE, b""),
            END,
            b"an epilogue --XX",
        ]
    )
    decoded = read(body, b"Multipart/Form-Data; Boundary=XX")
    assert plain(decoded) == {"a": ["é\r\n--X", "second"], "b": ""}
    first, second = decoded.files
    assert (first.field, first.name, first.media_type, first.content) == ("file", "up.csv", "text/csv", b"1,2\r\n\xff")
    assert (second.field, second.name, second.media_type) == ("a", "f.txt", "application/octet-stream")
    assert plain(read(b"--XX--", MULTIPART)) == {}
    assert plain(read(part(FIELD).replace(b"--XX\r\n", b"--XX \t\r\n") + END, MULTIPART)) == {"a": "x"}


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("a.txt", "a.txt"),
        ("../../etc/passwd", "passwd"),
        ("/etc/shadow", "shadow"),
        ("C:\\Windows\\x.ini", "x.ini"),
        ("..\\..\\x", "x"),
        ("a/..", ""),
        ("..", ""),
        (".", ""),
        ("x/", ""),
        ("", ""),
        ('é \\" %22.txt', 'é " %22.txt'.replace("\\", "")),
        (".hidden", ".hidden"),
    ],
)
def test_file_names_are_never_paths(sent: str, name: str) -> None:
    [file] = read(part(f'{FIELD}; filename="{sent}"') + END, MULTIPART).files
    assert file.name == name


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "does not begin with its boundary"),
        (b"x" + part(FIELD) + END, "does not begin with its boundary (byte 0)"),
        (part(FIELD), "part 1 of the multipart body has no end (byte 4)"),
        (part(FIELD)[:-2], "part 1 of the multipart body has no end"),
        (part(FIELD) + b"--XX", "part 2 of the multipart body has no end"),
        (part(FIELD) + b"--XX-", "part 2 of the multipart body has no end"),
        (part(FIELD) + b"--XXY\r\n" + END, "part 2 of the multipart body has no end"),
        (part(FIELD, b"\r\n--XXY") + END, "part 2 of the multipart body has no end"),
        (b"--XX\r\n\r\nx\r\n" + END, "part 1 of the multipart body has no name"),
        (part("Content-Disposition: form-data") + END, "has no name"),
        (part('Content-Disposition: attachment; name="a"') + END, "has no name"),
        (part('Content-Disposition: form-data; name="a') + END, "has no name"),
        (part('Content-Disposition: form-data; name="a"; name="b"') + END, "has no name"),
        (part(FIELD + ";a=b" * 10) + END, "has no name"),
        (part(FIELD + "\r\n" + FIELD) + END, "malformed or repeated header"),
        (part(FIELD + "\r\n X: folded") + END, "malformed or repeated header"),
        (part(FIELD + "\r\nX : y") + END, "malformed or repeated header"),
        (part(FIELD + "\r\nX") + END, "malformed or repeated header"),
        (part(FIELD + "\r\nX: " + "y" * MB) + END, "do not end within 2048 bytes"),
        (b"--XX\r\n" + FIELD.encode() + b"\r\nx\r\n" + END, "do not end within"),
        (part(FIELD, b"\xff") + END, "part 1 of the multipart body is not UTF-8"),
        (part(FILE.replace("f.txt", "f\0.txt")) + END, "malformed or repeated header"),
        (part(FILE.replace("f.txt", "f\x1b.txt")) + END, "control characters"),
        (part(FIELD.replace('"a"', '"__class__"')) + END, "reserved"),
        (part(FILE.replace('"a"', '"__class__"')) + END, "reserved"),
    ],
)
def test_malformed_multipart_is_refused_saying_where(body: bytes, problem: str) -> None:
    with pytest.raises(BadRequest) as error:
        decode_multipart(body, b"XX", 1000)
    assert error.value.status == 400
    assert problem in error.value.problem


@pytest.mark.parametrize("boundary", [b"", b'""', b"a\xff", b"x" * 71, b'"a "', b"a;boundary=b"])
def test_boundaries_of_another_form_are_refused(boundary: bytes) -> None:
    with pytest.raises(BadRequest) as error:
        read(b"--XX--", b"multipart/form-data; boundary=" + boundary)
    assert error.value.status in (400, 415)
    refused(400, b"--XX--", b"multipart/form-data")
    refused(415, b"--XX--", b"multipart/form-data; boundary=" + b"x" * 10_000)


def test_fields_of_other_charsets_are_refused() -> None:
    refused(415, part(FIELD + "\r\nContent-Type: text/plain; charset=utf-7") + END, MULTIPART)
    refused(415, part(FIELD + "\r\nContent-Type: ;") + END, MULTIPART)


def test_parts_are_bounded() -> None:
    assert len(read(part(FILE) * 10 + END, MULTIPART, max_fields=10).files) == 10
    assert "more than 9 parts" in refused(413, part(FILE) * 10 + END, MULTIPART, max_fields=9)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (413, part(FIELD) * 10_000 + END),
        (413, part(FIELD, b"\r\n--XXy" * 1_400_000) + END),
        (413, part(FIELD, b"\r\n--XX\r" * 1_400_000) + END),
        (400, part(FIELD + ';a="' * 400) * 999 + END),
        (400, part(FIELD, b"x" * 10 * MB)),
        (400, part(FIELD, b"\r\n--X" * 2 * MB)),
    ],
    ids=["many parts", "false boundaries", "half boundaries", "parameters", "no end", "near boundaries"],
)
def test_hostile_multipart(status: int, body: bytes) -> None:
    refused(status, body, MULTIPART)


@given(st.dictionaries(st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1), st.binary()))
def test_files_arrive_as_they_were_sent(files: dict[str, bytes]) -> None:
    boundary = next(b"B%d" % i for i in itertools.count() if not any(b"B%d" % i in data for data in files.values()))
    body = b"".join(
        b'--%b\r\nContent-Disposition: form-data; name="%b"; filename=f\r\n\r\n%b\r\n' % (boundary, name.encode(), data)
        for name, data in files.items()
    )
    _, found = decode_multipart(body + b"--" + boundary + b"--", boundary, 1000)
    assert {file.field: file.content for file in found} == files
