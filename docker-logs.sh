#!/usr/bin/env bash
# Shows what the services said last.
#
#   ./docker-logs.sh [service] [-f]
set -euo pipefail
# shellcheck source=scripts/stack.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/scripts/stack.sh"

options=(--tail 200)
services=()
for arg in "$@"; do
    case $arg in
        -f | --follow) options+=(--follow) ;;
        -*) fail "usage: ./docker-logs.sh [service] [-f]" ;;
        *) services+=("$arg") ;;
    esac
done

open_stack
has_secrets || fail "nothing was started here: run ./docker-up.sh"
for service in "${services[@]}"; do check_service "$service"; done
compose logs "${options[@]}" "${services[@]}"
