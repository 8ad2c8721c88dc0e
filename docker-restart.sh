#!/usr/bin/env bash
# Restarts one service, or all of them; calls in flight finish first.
#
#   ./docker-restart.sh [service]
set -euo pipefail
# shellcheck source=scripts/stack.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/scripts/stack.sh"

(($# <= 1)) || fail "usage: ./docker-restart.sh [service]"
open_stack
has_secrets || fail "nothing was started here: run ./docker-up.sh"
if (($#)); then
    check_service "$1"
    compose restart "$1" >&2
else
    # From the outside in, so that every call that was taken is answered.
    for service in nginx gateway host; do compose stop "$service" >&2; done
    compose restart redis mongo >&2
    compose up --detach --no-build >&2
fi
