#!/usr/bin/env bash
# Restarts one service, or all of them; calls in flight finish first. Several gateways restart one by one.
#
#   ./docker-restart.sh [service]
set -euo pipefail
# shellcheck source=scripts/stack.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/scripts/stack.sh"

HEALTHY_SECS=90

# Restarts a service's containers one after the other, each once the one before is healthy.
restart_in_turn() {
    local container until
    for container in $(compose ps --quiet "$1"); do
        docker restart "$container" >/dev/null
        until=$((SECONDS + HEALTHY_SECS))
        until [[ $(docker inspect --format '{{.State.Health.Status}}' "$container") == healthy ]]; do
            ((SECONDS <= until)) || fail "$1 is not healthy ${HEALTHY_SECS} s after its restart: ./docker-logs.sh $1"
            sleep 0.5
        done
    done
}

(($# <= 1)) || fail "usage: ./docker-restart.sh [service]"
open_stack
has_secrets || fail "nothing was started here: run ./docker-up.sh"
if (($#)); then
    check_service "$1"
    if [[ $1 == gateway ]]; then
        restart_in_turn gateway
    else
        compose restart "$1" >&2
    fi
else
    # From the outside in, so that every call that was taken is answered.
    for service in nginx gateway host; do compose stop "$service" >&2; done
    compose restart redis mongo >&2
    compose up --detach --no-build >&2
fi
