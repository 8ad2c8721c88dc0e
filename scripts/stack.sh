# Sourced by docker-up.sh, docker-dn.sh, docker-logs.sh and docker-restart.sh: finds Docker Engine and Compose,
# and fills in what docker-compose.yml needs to know of this machine. Everything said goes to stderr.
# shellcheck shell=bash

ROOT=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
cd "$ROOT" || exit 1
OLDEST_ENGINE=25
OLDEST_COMPOSE=2.24
LEAST_DISK_MB=300

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "plugbay: $*"
    exit 1
}

# The value of setting $1, or $2: a real variable wins over .env.local, and that over .env.
setting() {
    local value=${!1:-} file
    for file in .env.local .env; do
        [[ -n $value || ! -f $file ]] || value=$(sed -n "s/^$1=//p" "$file" | tail -n 1)
    done
    printf '%s' "${value:-$2}"
}

# True when version $1 is at least $2.
at_least() { [[ $(printf '%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]; }

find_engine() {
    local said
    command -v docker >/dev/null || fail "Docker is not installed: see docs.docker.com/engine/install"
    if ! said=$(docker version --format '{{.Server.Version}}' 2>&1); then
        case $said in
            *"permission denied"*) fail "this user may not use Docker: run  sudo usermod -aG docker $(id -un)  and log in anew, or use sudo" ;;
            *) fail "the Docker Engine does not answer: start it (sudo systemctl start docker)" ;;
        esac
    fi
    at_least "$said" "$OLDEST_ENGINE" || fail "Docker Engine $OLDEST_ENGINE or newer is needed, and this is $said: see docs.docker.com/engine/install"
}

find_compose() {
    local version
    if version=$(docker compose version --short 2>/dev/null); then
        compose_command=(docker compose)
    elif version=$(docker-compose version --short 2>/dev/null); then
        compose_command=(docker-compose)
    else
        fail "Docker Compose is not installed: see docs.docker.com/compose/install"
    fi
    at_least "${version#v}" "$OLDEST_COMPOSE" || fail "Docker Compose $OLDEST_COMPOSE or newer is needed, and this is $version: see docs.docker.com/compose/install"
}

compose() {
    local files=(--env-file .env)
    [[ ! -f .env.local ]] || files+=(--env-file .env.local)
    "${compose_command[@]}" --progress "${PROGRESS:-auto}" "${files[@]}" "$@"
}

# Exports what docker-compose.yml asks for, as far as it follows from this machine.
describe_machine() {
    local socket root
    socket=${DOCKER_HOST:-}
    socket=$(setting DOCKER_SOCKET "${socket#unix://}")
    DOCKER_SOCKET=${socket:-/var/run/docker.sock}
    [[ -S $DOCKER_SOCKET ]] || fail "DOCKER_SOCKET: $DOCKER_SOCKET is not the socket of a Docker Engine on this machine"
    DOCKER_GID=$(stat -L -c %g "$DOCKER_SOCKET")
    root=$(docker info --format '{{.DockerRootDir}}')
    COMPOSE_PROJECT_NAME=$(setting COMPOSE_PROJECT_NAME plugbay)
    RUNNERS_DIR=$(setting RUNNERS_DIR "/var/lib/plugbay/$COMPOSE_PROJECT_NAME")
    ((${#RUNNERS_DIR} <= 70)) || fail "RUNNERS_DIR: $RUNNERS_DIR is too long for sockets below it: 70 characters at most"
    [[ $RUNNERS_DIR != "$root"/* ]] || fail "RUNNERS_DIR: the Docker Engine does not share what lies in its own folder $root"
    ADMIN_IMAGE=$(image_id runner-admin)
    TENANT_IMAGE=$(image_id runner-tenant)
    [[ $(setting PLUGINS plugins) != *:* ]] || fail "PLUGINS: the stack serves one folder, not several"
    DOCKER_ROOT=$root
    export DOCKER_SOCKET DOCKER_GID COMPOSE_PROJECT_NAME RUNNERS_DIR ADMIN_IMAGE TENANT_IMAGE
}

# Content address of this project's image $1, or its name while it is not there.
image_id() {
    docker image inspect --format '{{.Id}}' "$COMPOSE_PROJECT_NAME-$1" 2>/dev/null || printf '%s' "$COMPOSE_PROJECT_NAME-$1"
}

# Fails with the reason when the disk is what is missing.
check_disk() {
    local free
    free=$(df --output=avail -m "$DOCKER_ROOT" 2>/dev/null | tail -n 1) || return 0
    [[ -z $free ]] || ((free >= LEAST_DISK_MB)) ||
        fail "the disk of $DOCKER_ROOT is full ($free MiB free): make room (docker system prune)"
}

check_service() {
    local services
    services=$(compose config --services | sort | paste -sd ' ')
    [[ " $services " == *" $1 "* ]] || fail "there is no service $1: these are $services"
}

has_secrets() { [[ -n $(setting MONGO_PASSWORD "") ]]; }

open_stack() {
    find_engine
    find_compose
    describe_machine
}
