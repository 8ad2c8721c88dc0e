"""A checkout of its own for each test, and a stand-in for Python that answers at once and keeps a record."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

_PYTHONS = ("python3.14", "python3.13", "python3.12", "python3.11", "python3")

_STAND_IN = """#!/usr/bin/env bash
# Does what scripts/environment.sh asks of Python, as far as the environment variables of the test say.
printf '%s\\n' "${0##*/} $*" >>"$RECORD"
case "$1 $2" in
    "-c "*ensurepip*) exit "${PROBE:-0}" ;;
    "-c "*) printf '%s\\n' "$SAYS" ;;
    "--version "*) printf 'Python 3.11.9\\n' ;;
    "-m venv")
        mkdir -p "${!#}/bin" "${!#}/lib/python3.11/site-packages"
        cp "$0" "${!#}/bin/python"
        printf '#!%s/bin/python\\n' "${!#}" >"${!#}/bin/tool"
        ;;
    "-m pip")
        if [[ -n ${HOLD:-} ]]; then
            echo reached >"$HOLD/reached"
            read -r _ <"$HOLD/go"
        fi
        printf '%s\\n' "${PIP_SAYS:-}" >&2
        exit "${PIP_STATUS:-0}"
        ;;
    *) exit "${STATUS:-0}" ;;
esac
"""

_ABSENT = "#!/usr/bin/env bash\nexit 127\n"


@dataclass
class Checkout:
    """A folder with the scripts and short lock files; Pythons are stand-ins unless `environ` says otherwise."""

    root: Path
    programs: Path
    environ: dict[str, str] = field(default_factory=dict)

    def run(self, script: str, *args: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Runs a script of the checkout from another folder, to its end."""
        return subprocess.run(
            [self.root / script, *args],
            env=self.environ | environ,
            cwd=self.programs,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def start(self, script: str, **environ: str) -> subprocess.Popen[str]:
        """Starts a script in a process group of its own."""
        return subprocess.Popen(
            [self.root / script],
            env=self.environ | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def python(self, *names: str) -> None:
        """Which Pythons are on the PATH; the others do not run."""
        for name in _PYTHONS:
            self.program(name, _STAND_IN if name in names else _ABSENT)

    def program(self, name: str, text: str) -> None:
        """Puts a program on the PATH, before all others."""
        path = self.programs / name
        path.write_text(text)
        path.chmod(0o755)

    def record(self, *words: str) -> list[str]:
        """What the stand-ins were asked, those lines that hold all of `words`."""
        lines = Path(self.environ["RECORD"]).read_text().splitlines()
        return [line for line in lines if all(word in line for word in words)]

    def forget(self) -> None:
        """Empties the record."""
        Path(self.environ["RECORD"]).write_text("")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    root = tmp_path / "a checkout"
    programs = tmp_path / "programs"
    programs.mkdir()
    shutil.copytree(ROOT / "scripts", root / "scripts")
    for script in ("runserver.sh", "run-tests.sh", "plugbay"):
        shutil.copy(ROOT / script, root / script)
    shutil.copytree(ROOT / ".ci", root / ".ci")
    (root / "requirements.lock").write_text("# nothing\n")
    (root / "requirements-dev.lock").write_text("# nothing more\n")
    record = tmp_path / "record"
    record.write_text("")
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "PLUGBAY_TEST_RUN") if name in os.environ}
    environ = kept | {"PATH": f"{programs}:{os.environ['PATH']}", "RECORD": str(record)}
    made = Checkout(root, programs, environ)
    made.python("python3.11")
    return made
