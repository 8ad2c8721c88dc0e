"""`plugbay deploy`, `modules`, `versions`, `rollback`, `pull` and `keys`: what they send, and what people read."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import VerifyKey

from catalogue import zipped
from catalogue.signatures import HEADER, Signature, signed_text
from tests.cli.conftest import FakePlugbay, Tool

UUID = "0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1"
MODULE = f"/api/tenants/{UUID}/modules/shop"
UPLOADED: dict[str, Any] = {
    "name": "shop",
    "exposes": [
        {"api": "price", "methods": ["GET", "PUT"], "path": f"/rest/services/{UUID}/shop/price/"},
        {"api": "buy", "methods": ["POST"], "path": f"/rest/services/{UUID}/shop/buy/"},
    ],
}
VERSIONS: dict[str, Any] = {
    "versions": [
        {"number": number, "digest": "0", "created": 1.7e9, "signed_by": signed_by, "serves": number == 3}
        for number, signed_by in ((1, ""), (3, "56475aa75463474c"), (4, ""))
    ]
}
OURS = ("--tenant", UUID)


@pytest.fixture(autouse=True)
def config(tool: Tool, tmp_path: Path) -> Path:
    tool.environ["XDG_CONFIG_HOME"] = str(tmp_path / "config")
    return tmp_path / "config"


def packed(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as writing:
        for path, content in files.items():
            writing.writestr(path, content)
    return made.getvalue()


def test_deploy_packs_a_folder_the_same_each_time(plugbay: FakePlugbay, tool: Tool, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    for path, content in (
        ("__init__.py", b"x = 1\n"),
        ("data/a.csv", b"1,2"),
        ("__pycache__/x.pyc", b""),
        (".env", b""),
    ):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    (folder / "link").symlink_to("/etc/passwd")
    for name in ("shop", "other"):
        plugbay.answers_json("PUT", f"/api/tenants/{UUID}/modules/{name}", UPLOADED, 201)
    shown = tool("deploy", str(folder), *OURS)
    assert shown.exit_code == 0, shown.stderr
    first = plugbay.last
    assert first.headers["content-type"] == "application/zip"
    assert HEADER.lower() not in first.headers and "transfer-encoding" not in first.headers
    files = {"__init__.py": b"x = 1\n", "data/a.csv": b"1,2"}
    limits = {"max_source": 1000, "max_bundle": 1000}
    assert zipped.read(first.body, "shop", **limits) == {f"shop/{path}": content for path, content in files.items()}
    assert "shop/link: a symbolic link" in shown.stderr
    (folder / "data" / "a.csv").touch()
    assert tool("deploy", str(folder), *OURS, "--name", "other").exit_code == 0
    assert plugbay.last.body == first.body


def test_deploy_prints_a_line_to_call_each_endpoint(plugbay: FakePlugbay, tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("")
    plugbay.answers_json("PUT", MODULE, UPLOADED)
    shown = tool("deploy", str(tmp_path / "shop.py"), *OURS).stdout
    base = f"{plugbay.url}/rest/services/{UUID}/shop"
    assert f"curl {base}/price/\n" in shown
    assert f"curl -X POST -H 'Content-Type: application/json' -d '{{}}' {base}/buy/\n" in shown


def test_deploy_sends_all_of_something_large(plugbay: FakePlugbay, tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_bytes(b"#" * 200_001)
    plugbay.answers_json("PUT", MODULE, UPLOADED)
    assert tool("deploy", str(tmp_path / "shop.py"), *OURS).exit_code == 0
    assert plugbay.last.body == b"#" * 200_001


def test_with_a_key_deploy_signs(plugbay: FakePlugbay, tool: Tool, tmp_path: Path, config: Path) -> None:
    made = json.loads(tool("keys", "new", *OURS, "--json").stdout)
    file = Path(made["file"])
    assert file == config / "plugbay" / "keys" / f"{UUID}.key"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert tool("keys", "new", *OURS).exit_code == 1
    (tmp_path / "shop.py").write_bytes(b"x = 1\n")
    plugbay.answers_json("PUT", MODULE, UPLOADED)
    assert "serves, signed" in tool("deploy", str(tmp_path / "shop.py"), *OURS).stdout
    signature = Signature.parse(plugbay.last.headers[HEADER.lower()])
    digest = hashlib.sha256(b"x = 1\n").hexdigest()
    public = VerifyKey(base64.b64decode(made["public_key"]))
    public.verify(signed_text(UUID, "shop", digest, signature.time), signature.value)
    plugbay.answers_json("POST", f"/api/tenants/{UUID}/signing-keys", {"id": signature.key, "name": "laptop"}, 201)
    assert signature.key in tool("keys", "register", *OURS, "--name", "laptop").stdout
    assert json.loads(plugbay.last.body) == {"name": "laptop", "public_key": made["public_key"]}
    file.write_text("nonsense")
    broken = tool("deploy", str(tmp_path / "shop.py"), *OURS)
    assert (broken.exit_code, "holds no key" in broken.stderr) == (1, True)


def test_a_key_can_lie_elsewhere(plugbay: FakePlugbay, tool: Tool, tmp_path: Path) -> None:
    place = str(tmp_path / "own.key")
    assert tool("keys", "new", *OURS, PLUGBAY_SIGNING_KEY=place).exit_code == 0
    (tmp_path / "shop.py").write_bytes(b"")
    plugbay.answers_json("PUT", MODULE, UPLOADED)
    tool("deploy", str(tmp_path / "shop.py"), *OURS, PLUGBAY_SIGNING_KEY=place)
    assert HEADER.lower() in plugbay.last.headers


def test_without_a_key_nothing_is_registered(plugbay: FakePlugbay, tool: Tool) -> None:
    shown = tool("keys", "register", *OURS)
    assert (shown.exit_code, "plugbay keys new" in shown.stderr, plugbay.requests) == (1, True, [])
    assert tool("keys", "new", "--tenant", "../x").exit_code == 2


def test_keys_are_listed_and_removed(plugbay: FakePlugbay, tool: Tool) -> None:
    keys = {"keys": [{"id": "56475aa75463474c", "name": "laptop", "public_key": "", "created": 1.7e9}]}
    plugbay.answers_json("GET", f"/api/tenants/{UUID}/signing-keys", keys)
    assert "56475aa75463474c  laptop" in tool("keys", "list", *OURS).stdout
    assert json.loads(tool("keys", "list", *OURS, "--json").stdout) == keys
    plugbay.answers_bytes("DELETE", f"/api/tenants/{UUID}/signing-keys/56475aa75463474c", b"", "text/plain", 204)
    assert tool("keys", "rm", "56475aa75463474c", *OURS).exit_code == 0


def test_modules_are_listed(plugbay: FakePlugbay, tool: Tool) -> None:
    module = {"name": "shop", "source": "upload", "endpoints": 2, "problem": None}
    plugbay.answers_json("GET", f"/api/tenants/{UUID}/modules", {"modules": [module], "next": None})
    assert re.search(r"shop +upload +2", tool("modules", *OURS).stdout)
    assert json.loads(tool("modules", *OURS, "--json").stdout) == {"modules": [module]}


def test_versions_are_listed(plugbay: FakePlugbay, tool: Tool) -> None:
    plugbay.answers_json("GET", f"{MODULE}/versions", VERSIONS)
    shown = tool("versions", "shop", *OURS).stdout.splitlines()
    assert re.fullmatch(r"3 +\S+ \S+ +56475aa75463474c +serves *", shown[2])
    assert json.loads(tool("versions", "shop", *OURS, "--json").stdout) == VERSIONS


def test_the_difference_of_two_versions(plugbay: FakePlugbay, tool: Tool) -> None:
    plugbay.answers_json("GET", f"{MODULE}/versions", VERSIONS)
    one = {"shop/__init__.py": b"a = 1\nb = 2\n", "shop/same": b"x", "shop/data": b"\0", "shop/gone.txt": b"bye\n"}
    two = {"shop/__init__.py": b"a = 1\nb = 3\n\x1b[31m\n", "shop/same": b"x", "shop/data": b"\0\1"}
    for number, files in ((1, one), (3, two)):
        plugbay.answers_bytes("GET", f"{MODULE}/versions/{number}", packed(files), "application/zip")
    plugbay.answers_bytes("GET", f"{MODULE}/versions/4", b"a = 1\n", "text/x-python")
    shown = tool("versions", "shop", "1", *OURS)
    assert shown.exit_code == 0, shown.stderr
    assert "-b = 2\n+b = 3\n+\\x1b[31m\n" in shown.stdout
    assert "shop/data and shop/data differ\n" in shown.stdout
    assert "--- shop/gone.txt\n+++ /dev/null\n" in shown.stdout and "same" not in shown.stdout
    difference = json.loads(tool("versions", "shop", "1", "4", *OURS, "--json").stdout)["difference"]
    assert "+++ shop.py" in difference and "--- shop/same" in difference


@pytest.mark.parametrize(("arguments", "version"), [([], 1), (["4"], 4)])
def test_rollback(plugbay: FakePlugbay, tool: Tool, arguments: list[str], version: int) -> None:
    plugbay.answers_json("GET", f"{MODULE}/versions", VERSIONS)
    plugbay.answers_json("POST", f"{MODULE}/rollback", UPLOADED)
    shown = tool("rollback", "shop", *arguments, *OURS)
    assert shown.stdout == f"shop serves as version {version}.\n"
    assert json.loads(plugbay.last.body) == {"version": version}


def test_rollback_from_the_first_is_none(plugbay: FakePlugbay, tool: Tool) -> None:
    first = {"versions": [VERSIONS["versions"][1]]}
    plugbay.answers_json("GET", f"{MODULE}/versions", first)
    assert tool("rollback", "shop", *OURS).exit_code == 1


def test_pull_writes_what_serves_and_over_nothing(plugbay: FakePlugbay, tool: Tool, tmp_path: Path) -> None:
    plugbay.answers_json("GET", f"{MODULE}/versions", VERSIONS)
    files = {"shop/__init__.py": b"x = 1\n", "shop/data/a.csv": b"1"}
    plugbay.answers_bytes("GET", f"{MODULE}/versions/3", packed(files), "application/zip")
    plugbay.answers_bytes("GET", f"{MODULE}/versions/4", b"y = 1\n", "text/x-python")
    assert tool("pull", "shop", *OURS, "--to", str(tmp_path / "to")).exit_code == 0
    assert {path: (tmp_path / "to" / path).read_bytes() for path in files} == files
    again = tool("pull", "shop", *OURS, "--to", str(tmp_path / "to"))
    assert (again.exit_code, "is there already" in again.stderr) == (2, True)
    assert tool("pull", "shop", *OURS, "--version", "4", "--to", str(tmp_path)).exit_code == 0
    assert (tmp_path / "shop.py").read_bytes() == b"y = 1\n"


def test_pull_writes_nothing_outside_its_folder(plugbay: FakePlugbay, tool: Tool, tmp_path: Path) -> None:
    plugbay.answers_json("GET", f"{MODULE}/versions", VERSIONS)
    hostile = packed({"__init__.py": b"", "../../evil.py": b"x"})
    plugbay.answers_bytes("GET", f"{MODULE}/versions/3", hostile, "application/zip")
    assert tool("pull", "shop", *OURS, "--to", str(tmp_path / "to")).exit_code == 1
    assert not list(tmp_path.rglob("evil.py")) and not (tmp_path / "to").exists()
