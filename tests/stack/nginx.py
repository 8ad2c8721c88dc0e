"""The stack's nginx by itself: its image with its configuration, in front of what a test listens with."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.stack.stack import ROOT

IMAGE = os.environ.get("NGINX_IMAGE", "nginx:1.28-alpine")
SECRET = "a-secret-of-the-tests"
START_SECS = 20


@contextlib.contextmanager
def nginx(folder: Path, *ports: int, sign_in: int | None = None) -> Iterator[httpx.Client]:
    """A client of an nginx whose gateways are at these ports of this machine, and the sign-in service at `sign_in`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        own = int(free.getsockname()[1])
    text = (ROOT / "nginx" / "nginx.conf").read_text()
    for name, value in {
        "LISTEN": f"127.0.0.1:{own}",
        "TLS": "",
        "SIGN_IN": "" if sign_in is None else "include /conf/sign_in.conf;",
        "SIGN_IN_SERVER": f"127.0.0.1:{sign_in or 1}",
        "SERVERS": " ".join(f"server 127.0.0.1:{port} max_fails=0;" for port in ports),
        "PROXY_SECRET": SECRET,
        "MAX_BODY_BYTES": "1000000",
        "ANSWER_SECS": "50",
    }.items():
        text = text.replace(f"@{name}@", value)
    assert not re.search(r"@[A-Z]", text)
    (folder / "nginx.conf").write_text(text)
    shutil.copy(ROOT / "nginx" / "sign_in.conf", folder)
    command = ["docker", "run", "--rm", "--network", "host", "--entrypoint", "nginx", "--tmpfs", "/tmp", "--volume"]
    arguments = [f"{folder}:/conf:ro", IMAGE, "-e", "stderr", "-c", "/conf/nginx.conf", "-g", "daemon off;"]
    process = subprocess.Popen(command + arguments)
    try:
        until = time.monotonic() + START_SECS
        while True:
            try:
                socket.create_connection(("127.0.0.1", own)).close()
                break
            except ConnectionRefusedError:
                assert process.poll() is None and time.monotonic() < until
                time.sleep(0.02)
        with httpx.Client(base_url=f"http://127.0.0.1:{own}", timeout=30, trust_env=False) as client:
            yield client
    finally:
        process.terminate()
        process.wait()


def have_image() -> None:
    """Pulls the image, or makes the stand-in, unless it is there."""
    for command in (["docker", "image", "inspect", IMAGE], ["docker", "pull", "--quiet", IMAGE]):
        if not subprocess.run(command, capture_output=True, check=False).returncode:
            return
    subprocess.run([ROOT / "images" / "offline.sh", "nginx"], check=True)
