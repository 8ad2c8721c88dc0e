# Sourced by the scripts of the top folder: makes `.venv` from a lock file, once and when the lock changes.
#
#   ensure_environment requirements.lock        what the platform and `plugbay` need
#   ensure_environment requirements-dev.lock    the same and what the tests need
#
# The environment is built beside `.venv` and takes its place when complete, so a failed or interrupted
# build leaves the one before usable. `.venv/plugbay.lock` holds the digests of the locks it was made from.
# Everything said goes to stderr. PYTHON names the interpreter to use; remove `.venv` to use another one.
# shellcheck shell=bash

ROOT=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
VENV=$ROOT/.venv

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "plugbay: $*"
    exit 1
}

lock_line() {
    local digest
    digest=$(sha256sum <"$ROOT/$1")
    printf '%s %s\n' "${digest%% *}" "$1"
}

# True when the environment holds what lock file $1 asks for.
is_current() { [[ -x $VENV/bin/python ]] && grep -qxF -- "$(lock_line "$1")" "$VENV/plugbay.lock" 2>/dev/null; }

# Exit status of interpreter $1: 0 usable, 3 too old, 4 without ensurepip; any other: it does not run.
probe_python() {
    "$1" -c 'import sys
if sys.version_info < (3, 11): sys.exit(3)
try: import ensurepip, venv
except ImportError: sys.exit(4)' >/dev/null 2>&1
}

# Prints the interpreter to use, or fails with the one that came closest and the fix.
find_python() {
    local candidates=(python3.14 python3.13 python3.12 python3.11 python3) candidate version status old="" bare=""
    [[ -n ${PYTHON:-} ]] && candidates=("$PYTHON")
    for candidate in "${candidates[@]}"; do
        probe_python "$candidate" && { printf '%s\n' "$candidate"; return; } || status=$?
        case $status in
            3) old=${old:-$candidate} ;;
            4) bare=${bare:-$candidate} ;;
        esac
    done
    if [[ -n $bare ]]; then
        version=$("$bare" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
        fail "$bare cannot make environments: its venv module is not complete. Install it (Debian, Ubuntu): apt-get install $version-venv"
    elif [[ -n $old ]]; then
        fail "Python 3.11 or newer is needed, and $old is $("$old" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])'). Install it (Debian, Ubuntu): apt-get install python3.11 python3.11-venv; or name another one: PYTHON=/path/to/python $0"
    elif [[ -n ${PYTHON:-} ]]; then
        fail "PYTHON=$PYTHON does not run. Let it name a Python 3.11 or newer, or unset it"
    fi
    fail "Python 3.11 or newer is needed, and none was found. Install it (Debian, Ubuntu): apt-get install python3 python3-venv; or name one: PYTHON=/path/to/python $0"
}

# Installs lock file $1 into the environment $2. Only wheels: nothing is compiled, nothing unhashed is fetched.
install_packages() {
    local log=$2/pip.log
    say "Installing $(grep -cE '^[a-z0-9]' "$ROOT/$1") packages from $1 …"
    "$2/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-compile \
        --require-hashes --only-binary :all: -r "$ROOT/$1" >"$log" 2>&1 && { rm "$log"; return; }
    if grep -qE 'NewConnectionError|ConnectTimeout|NameResolutionError|ProxyError|Read timed out' "$log"; then
        fail "the packages could not be fetched: the package index does not answer. Check the network or the proxy (HTTPS_PROXY), or name a mirror (PIP_INDEX_URL), then run this again"
    fi
    tail -n 8 "$log" >&2
    fail "pip could not install $1; its last lines are above"
}

# Makes the environment for lock file $1, unless another process just did.
build_environment() {
    is_current "$1" && return
    local lock=$1 new=$VENV.building python site started=$SECONDS
    # An environment with the test tools keeps them when only the smaller lock was asked for.
    grep -qF requirements-dev.lock "$VENV/plugbay.lock" 2>/dev/null && lock=requirements-dev.lock
    [[ -w $ROOT ]] || fail "cannot make $VENV: the folder $ROOT is not writable for $(id -un)"
    python=$(find_python)
    say "Making the Python environment with $("$python" --version) (once, and when $lock changes) …"
    rm -rf "$new"
    trap 'rm -rf "$VENV.building"' EXIT
    "$python" -m venv --prompt plugbay "$new" >&2 || fail "$python -m venv failed; its message is above"
    printf '*\n' >"$new/.gitignore"
    install_packages "$lock" "$new"
    # Makes the checkout importable; relative to site-packages, so that the folder can be moved.
    for site in "$new"/lib/python3*/site-packages; do printf '../../../..\n' >"$site/plugbay.pth"; done
    # Scripts name the folder they were installed in.
    { grep -rlIF -- /.venv.building "$new/bin" || true; } | xargs -r -d '\n' sed -i 's|/\.venv\.building|/.venv|g'
    lock_line requirements.lock >"$new/plugbay.lock"
    [[ $lock == requirements.lock ]] || lock_line "$lock" >>"$new/plugbay.lock"
    rm -rf "$VENV.old"
    [[ ! -e $VENV ]] || mv "$VENV" "$VENV.old"
    mv "$new" "$VENV"
    rm -rf "$VENV.old"
    say "The environment is ready after $((SECONDS - started)) s."
}

# Returns when `.venv` holds what lock file $1 asks for. Costs a few milliseconds when it already does.
ensure_environment() {
    is_current "$1" && return
    # Two at once: the second waits for the first and finds the environment made.
    (
        ! command -v flock >/dev/null || flock 9
        build_environment "$1"
    ) 9<"$ROOT/scripts/environment.sh"
}
