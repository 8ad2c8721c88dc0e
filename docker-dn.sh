#!/usr/bin/env bash
# Stops the stack: calls in flight finish first. Data stays, unless --volumes is given and confirmed.
#
#   ./docker-dn.sh [--volumes [--yes]]
set -euo pipefail
# shellcheck source=scripts/stack.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/scripts/stack.sh"

volumes=false sure=false
for arg in "$@"; do
    case $arg in
        --volumes) volumes=true ;;
        --yes) sure=true ;;
        *) fail "usage: ./docker-dn.sh [--volumes [--yes]]" ;;
    esac
done

open_stack
has_secrets || fail "nothing was started here: .env.local has no secrets of a stack"
options=()
if [[ $volumes == true ]]; then
    if [[ $sure == false ]]; then
        read -r -p "Delete all tenants, modules, settings and kept calls of $COMPOSE_PROJECT_NAME for good? Type yes: " answer || answer=
        [[ $answer == yes ]] || fail "nothing was changed"
    fi
    options=(--volumes)
fi
# From the outside in, so that every call that was taken is answered.
for service in nginx gateway host; do compose stop "$service" >&2; done
compose --profile '*' down --remove-orphans "${options[@]}" >&2
# What a host that was killed could not remove itself.
label=plugbay.installation=$(setting HOST_NAME "$COMPOSE_PROJECT_NAME")
docker ps --all --quiet --filter "label=$label" | xargs --no-run-if-empty docker rm --force >/dev/null
# Sockets: the folder is the host's alone, so this user may not be able to remove it.
! docker image inspect "$COMPOSE_PROJECT_NAME-host" >/dev/null 2>&1 ||
    docker run --rm --network none --read-only --cap-drop ALL --cap-add DAC_OVERRIDE --user 0:0 --entrypoint rm \
        --volume "$(dirname "$RUNNERS_DIR"):/parent" "$COMPOSE_PROJECT_NAME-host" -rf "/parent/$(basename "$RUNNERS_DIR")"
docker network rm "${COMPOSE_PROJECT_NAME}_admin" >/dev/null 2>&1 || true
say "Stopped."
