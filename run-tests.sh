#!/usr/bin/env bash
# Lint, format check, strict types and the tests: everything this machine can run.
#
#   ./run-tests.sh [--install] [--require-all] [pytest arguments …]
#
#   --install       first installs the system packages that tests need, and runs Docker for as long as they
#                   take (Debian, Ubuntu; as root)
#   --require-all   a test that this machine cannot run is a failure
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/scripts/environment.sh"

install=false
pytest_args=()
for arg in "$@"; do
    case $arg in
        --install) install=true ;;
        *) pytest_args+=("$arg") ;;
    esac
done

install_system_packages() {
    local missing
    read -ra missing < <("$python" -m tests.needs)
    ((${#missing[@]})) || return 0
    command -v apt-get >/dev/null || fail "--install works on Debian and Ubuntu only; install these yourself: ${missing[*]}"
    [[ $(id -u) == 0 ]] || fail "--install needs root; run: sudo apt-get install ${missing[*]}"
    say "Installing ${missing[*]} …"
    apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "${missing[@]}" >&2
}

failed=()
check() {
    say "· $1"
    "$python" -P -m "${@:2}" >&2 || failed+=("$1")
}

cd "$ROOT"
ensure_environment requirements-dev.lock
python=$VENV/bin/python
if [[ $install == true ]]; then
    engine=$(scripts/docker-engine.sh up)
    # An Engine that was there before belongs to somebody else.
    [[ $engine != started ]] || trap 'scripts/docker-engine.sh down' EXIT
    install_system_packages
fi
check "ruff check" ruff check --quiet .
check "ruff format" ruff format --quiet --check .
check "mypy" mypy --no-error-summary
say "· pytest"
status=0
"$python" -m pytest -n logical --maxprocesses 4 "${pytest_args[@]}" || status=$?
if ((status == 1)); then
    say "· pytest, once more and alone, to tell why: what failed beside others"
    "$python" -m pytest --last-failed --last-failed-no-failures none "${pytest_args[@]}" &&
        say "UNSTABLE, and failed: what failed beside others passes alone"
fi
if ((${#failed[@]})); then
    say "FAILED before the tests, see above: ${failed[*]}"
    ((status)) || status=1
fi
exit "$status"
