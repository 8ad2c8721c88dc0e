#!/usr/bin/env bash
# Copies tenants, modules, run-time settings and the audit trail of the running stack to a file, or from one; calls go on meanwhile.
#
#   ./docker-store.sh export FILE      FILE must not exist yet
#   ./docker-store.sh import FILE      in place of what has the same name
set -euo pipefail
here=$PWD
# shellcheck source=scripts/stack.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/scripts/stack.sh"

[[ $# == 2 && ($1 == export || $1 == import) ]] || fail "usage: ./docker-store.sh export|import FILE"
file=$(cd "$here" && realpath --canonicalize-missing "$2")
[[ -d $(dirname "$file") ]] || fail "there is no folder $(dirname "$file")"
open_stack
has_secrets || fail "nothing was started here: run ./docker-up.sh"
compose run --rm --no-deps -T --user "$(id -u):$(id -g)" --volume "$(dirname "$file"):/backup" \
    gateway cli store "$1" "/backup/$(basename "$file")"
