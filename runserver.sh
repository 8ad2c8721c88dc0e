#!/usr/bin/env bash
# Starts the whole platform as one process tree; Ctrl-C stops it. Settings: .env
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/scripts/environment.sh"

ensure_environment requirements.lock
exec "$VENV/bin/python" -P -m embedded "$@"
