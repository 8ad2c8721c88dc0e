"""Every request of `examples.http` gets the answer that the file says."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import httpx
import pyotp
import pytest

from tests import needs
from tests.embedded.server import ROOT, Embedded


@dataclass
class Example:
    """One request of the file."""

    title: str
    needs: list[str] = field(default_factory=list)
    status: int = 0
    parts: list[str] = field(default_factory=list)
    method: str = ""
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    secret: str = ""
    """Of the app whose code the request asks for."""


def parse(text: str) -> list[Example]:
    """The requests of a REST Client file, its variables replaced; `{{host}}` and what is asked for are left."""
    variables = dict(re.findall(r"^@(\w+) *= *(\S+)$", text, re.M))
    variables.pop("host")
    for _ in variables:
        for name, value in variables.items():
            text = text.replace("{{" + name + "}}", value)
    found: list[Example] = []
    title = ""
    for block in re.split(r"^###", text, flags=re.M)[1:]:
        lines = block.split("\n")
        title = lines[0].strip() or title
        example = Example(title)
        rest = iter(lines[1:])
        for line in rest:
            if match := re.match(r"# (expect|expect-body|needs): (.*)", line):
                if match[1] == "expect":
                    example.status = int(match[2])
                else:
                    (example.parts if match[1] == "expect-body" else example.needs).append(match[2])
            elif match := re.match(r"# @prompt code .* secret (\S+)$", line):
                example.secret = match[1]
            elif match := re.match(r"([A-Z]+) (\S+)$", line):
                example.method, example.url = match.groups()
                break
        for line in rest:
            if not line:
                break
            if line[0] in "?&" or line.startswith((" ?", " &")):
                example.url += line.strip()
            else:
                name, _, value = line.partition(": ")
                example.headers[name] = value
        example.body = "\n".join(rest).strip("\n")
        if example.method:
            found.append(example)
    return found


EXAMPLES = parse((ROOT / "examples.http").read_text())


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(
            example,
            marks=[pytest.mark.needs(*example.needs)] if example.needs else [],
            id=f"{example.method} {example.url}",
        )
        for example in EXAMPLES
    ],
)
def test_an_example_is_answered_as_it_says(samples: Embedded, example: Example) -> None:
    body = (
        example.body.replace("\n", "\r\n") if "multipart" in example.headers.get("Content-Type", "") else example.body
    )
    if example.secret:
        body = body.replace("{{code}}", pyotp.TOTP(example.secret).now())
    answer = httpx.request(
        example.method, example.url.replace("{{host}}", samples.url), headers=example.headers, content=body, timeout=30
    )
    assert answer.status_code == example.status, answer.text
    for part in example.parts:
        assert part in answer.text


def test_every_endpoint_of_the_samples_has_an_example(samples: Embedded) -> None:
    directory = samples.get("/__dir__/").json()
    assert not directory["problems"]
    called = {(example.method, example.url) for example in EXAMPLES}
    for methods in directory["endpoints"].values():
        for apis in methods.values():
            for api in apis:
                assert any(f"/{api}/" in f"{url.split('?')[0]}/" for _, url in called), api


def test_every_requirement_is_known() -> None:
    assert {name for example in EXAMPLES for name in example.needs} <= set(needs.NEEDS)
