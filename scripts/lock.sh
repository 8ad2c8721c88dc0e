#!/usr/bin/env bash
# Makes both lock files from pyproject.toml. What is locked stays unless an option of uv says otherwise:
#
#   scripts/lock.sh [--upgrade | --upgrade-package NAME]
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

if ! uv=$(command -v uv); then
    temporary=$(mktemp -d)
    trap 'rm -rf "$temporary"' EXIT
    "${PYTHON:-python3}" -m venv "$temporary"
    "$temporary/bin/pip" install --quiet --disable-pip-version-check uv
    uv=$temporary/bin/uv
fi

lock() {
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --custom-compile-command scripts/lock.sh --no-emit-index-url --no-emit-find-links \
        --output-file "$@" pyproject.toml >/dev/null
}

lock requirements.lock "$@"
# The smaller lock constrains the larger, so that the tests run what the platform runs.
lock requirements-dev.lock --extra dev --extra bench --constraint requirements.lock "$@"
