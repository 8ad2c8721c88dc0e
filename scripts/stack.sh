# Sourced by docker-up.sh, docker-dn.sh, docker-logs.sh and docker-restart.sh: finds Docker Engine and Compose,
# and fills in what docker-compose.yml needs to know of this machine. Everything said goes to stderr.
# PLUGBAY_HOME is the folder of the installation, where it is not the checkout: its settings, secrets and plugins.
# shellcheck shell=bash

ROOT=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
cd "${PLUGBAY_HOME:-$ROOT}" >/dev/null || exit 1
PLUGBAY_HOME=$PWD
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
        [[ -n $value || ! -f $file ]] || value=$(unquoted "$(sed -nE "s/^(export )?$1=//p" "$file" | tail -n 1)")
    done
    printf '%s' "${value:-$2}"
}

# What a line of .env says behind its =: without quotes, or without a comment.
unquoted() {
    case $1 in
        [\"\']*"${1:0:1}"*) printf '%s' "${1:1}" | sed "s/${1:0:1}.*//" ;;
        *) printf '%s' "$1" | sed -E 's/[[:space:]]+#.*//; s/[[:space:]]+$//' ;;
    esac
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
    if [[ -s $work/more.yml || $PLUGBAY_HOME != "$ROOT" ]]; then
        files+=(--file "$ROOT/docker-compose.yml")
        [[ ! -s $work/more.yml ]] || files+=(--file "$work/more.yml")
        # Otherwise Compose finds the operator's own additions itself.
        [[ ! -f docker-compose.override.yml ]] || files+=(--file docker-compose.override.yml)
    fi
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
    DOCKER_ROOT=$root
    export DOCKER_SOCKET DOCKER_GID COMPOSE_PROJECT_NAME RUNNERS_DIR ADMIN_IMAGE TENANT_IMAGE
}

# Exports where the files and folders are that docker-compose.yml mounts, as absolute paths.
describe_files() {
    local folder folders name
    plugin_folders=()
    IFS=: read -ra folders <<<"$(setting PLUGINS plugins)"
    for folder in "${folders[@]}"; do
        [[ -n $folder ]] || continue
        folder=$(absolute "$folder")
        [[ -d $folder ]] || fail "PLUGINS: there is no folder $folder: make it, or name another"
        plugin_folders+=("$folder")
        export "PLUGINS_${#plugin_folders[@]}=$folder"
    done
    for name in TLS_CERT TLS_KEY; do
        [[ -n $(setting "$name" "") ]] || continue
        export "$name=$(absolute "$(setting "$name" "")")"
        [[ -f ${!name} ]] || fail "$name: there is no file ${!name}"
    done
    if [[ $PLUGBAY_HOME != "$ROOT" ]]; then  # Compose would look in the checkout
        PLANS=$(absolute "$(setting PLANS plans.toml)")
        export PLANS
    fi
    describe_admin_environment
    [[ -n $(setting TLS_CERT "") ]] || [[ -z $(setting TLS_KEY "") ]] || fail "TLS_CERT: TLS_KEY is set without it"
    [[ -z $(setting TLS_CERT "") ]] || [[ -n $(setting TLS_KEY "") ]] || fail "TLS_KEY: TLS_CERT is set without it"
}

# Whether people can sign in: exports the profile of the service that lets them, and its cookie's name and kind.
describe_sign_in() {
    local name
    if [[ -z $(setting OIDC_ISSUER "") ]]; then
        [[ $(setting REQUIRE_SIGN_IN none) == none ]] || fail "REQUIRE_SIGN_IN: nobody can sign in: set OIDC_ISSUER as well"
        return 0
    fi
    for name in OIDC_CLIENT_ID OIDC_CLIENT_SECRET PUBLIC_URL; do
        [[ -n $(setting "$name" "") ]] || fail "$name: OIDC_ISSUER is set without it: see docs/authentication.md"
    done
    [[ $(setting PUBLIC_URL "") =~ ^https?://[^/]+$ ]] ||
        fail "PUBLIC_URL: $(setting PUBLIC_URL "") is no address as https://plugbay.example, without a path"
    SIGN_IN_COOKIE=_plugbay_session SIGN_IN_COOKIE_SECURE=false
    if [[ $(setting PUBLIC_URL "") == https://* ]]; then
        SIGN_IN_COOKIE=__Host-plugbay_session SIGN_IN_COOKIE_SECURE=true
    fi
    COMPOSE_PROFILES=$(setting COMPOSE_PROFILES "")
    [[ ,$COMPOSE_PROFILES, == *,sso,* ]] || COMPOSE_PROFILES+=${COMPOSE_PROFILES:+,}sso
    export COMPOSE_PROFILES SIGN_IN_COOKIE SIGN_IN_COOKIE_SECURE
}

# The variables of admin functions: the host gets their folder, and the group that may read them.
describe_admin_environment() {
    local file folder
    file=$(absolute "$(setting ADMIN_ENV_FILE secrets/plugins.env)")
    folder=$(dirname "$file")
    [[ -d $folder ]] || fail "ADMIN_ENV_FILE: there is no folder $folder: make it, or name another file"
    [[ ! -e $folder/.env.local ]] || fail "ADMIN_ENV_FILE: $folder has other secrets in it: name a file in a folder of its own"
    ADMIN_ENV_FOLDER=$folder
    ADMIN_ENV_NAME=$(basename "$file")
    [[ -e $file ]] || file=$folder
    ADMIN_ENV_GID=$(stat -c %g "$file")
    { for_group "$folder" x && for_group "$file" r; } ||
        fail "ADMIN_ENV_FILE: the runner host cannot read $file: run  chmod g+x $folder; chmod g+r $file"
    # Compose takes no group twice.
    [[ $ADMIN_ENV_GID != "$DOCKER_GID" ]] || ADMIN_ENV_GID=64002
    export ADMIN_ENV_FOLDER ADMIN_ENV_NAME ADMIN_ENV_GID
}

# True when the group ADMIN_ENV_GID has right $2 (r or x) on $1.
for_group() {
    local mode
    mode=$(stat -c %A "$1")
    [[ ${mode:7:3} == *$2* ]] || [[ $(stat -c %g "$1") == "$ADMIN_ENV_GID" && ${mode:4:3} == *$2* ]]
}

# $1 as a path that does not depend on the folder; links stay, as what they lead to may change.
absolute() { realpath --no-symlinks --canonicalize-missing "${1/#\~\//$HOME/}"; }

# Compose has no words for as many folders and names as there are: what is more than one folder and ten names
# goes into a file beside docker-compose.yml.
write_more() {
    local names number served=/plugins count=${#plugin_folders[@]}
    mapfile -t names < <({ env; cat .env .env.local; } 2>/dev/null |
        sed -nE 's/^(export )?(URL_PARM[0-9]+)=.*/\2/p' | grep -vxE 'URL_PARM([1-9]|10)' | sort -u)
    ((${#names[@]} || count > 1)) || return 0
    for ((number = 2; number <= count; number++)); do served+=:/plugins-$number; done
    {
        printf 'services:\n  gateway:\n    environment:\n      PLUGINS: %s\n' "$served"
        ((${#names[@]} == 0)) || printf '      %s:\n' "${names[@]}"
        ((count == 1)) || printf '    volumes:\n'
        for ((number = 2; number <= count; number++)); do
            # shellcheck disable=SC2016  # Compose fills it in
            printf '      - {type: bind, source: "${PLUGINS_%d}", target: /plugins-%d, read_only: true}\n' "$number" "$number"
        done
    } >"$work/more.yml"
}

# Content address of this project's image $1, or its name while it is not there.
image_id() {
    docker image inspect --format '{{.Id}}' "$COMPOSE_PROJECT_NAME-$1" 2>/dev/null || printf '%s' "$COMPOSE_PROJECT_NAME-$1"
}

# Fails with the reason when the disk is what is missing.
check_disk() {
    local free
    read -r free < <(df --output=avail -m "$DOCKER_ROOT" 2>/dev/null | tail -n 1) || return 0
    ((free >= LEAST_DISK_MB)) ||
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
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    describe_machine
    describe_files
    describe_sign_in
    write_more
}
