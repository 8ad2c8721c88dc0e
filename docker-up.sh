#!/usr/bin/env bash
# Starts the stack on this machine, or rolls it forward to what the checkout and .env say now.
#
#   ./docker-up.sh [options of "docker compose up", as --scale gateway=3]
set -euo pipefail
# shellcheck source=scripts/stack.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/scripts/stack.sh"

READY_SECS=90

secret() { head -c 32 /dev/urandom | base64 | tr -d '=\n' | tr '+/' '-_'; }

# Adds what is missing to .env.local, whole or not at all, and touches nothing that is there.
make_secrets() {
    local name value missing=()
    for name in ADMIN_UUID ADMIN_KEY SECRETS_KEY INSTALLATION_KEY PROXY_SECRET REDIS_GATEWAY_PASSWORD REDIS_HOST_PASSWORD MONGO_ROOT_PASSWORD MONGO_PASSWORD; do
        [[ -n $(setting "$name" "") ]] || missing+=("$name")
    done
    [[ ,$(setting COMPOSE_PROFILES ""), != *,notes,* || -n $(setting NOTES_MONGO_PASSWORD "") ]] ||
        missing+=(NOTES_MONGO_PASSWORD)
    [[ -z $(setting OIDC_ISSUER "") || -n $(setting OIDC_COOKIE_SECRET "") ]] || missing+=(OIDC_COOKIE_SECRET)
    ((${#missing[@]})) || return 0
    (umask 077 && with_secrets "${missing[@]}" >.env.local.new && mv .env.local.new .env.local) ||
        fail ".env.local cannot be written in $PLUGBAY_HOME"
    say "Made ${missing[*]} in .env.local."
}

# Prints .env.local with the secrets $@ besides.
with_secrets() {
    local name value
    if [[ -s .env.local ]]; then
        cat .env.local || return 1
    else
        printf '# Made at the first start. Secret: readable by you alone, never committed.\n' || return 1
    fi
    for name; do
        case $name in
            ADMIN_UUID) value=$(</proc/sys/kernel/random/uuid) ;;
            *) value=$(secret) ;;
        esac
        printf '%s=%s\n' "$name" "$value" || return 1
    done
}

build() {
    say "Building the images …"
    compose --profile images build >&2 && return
    check_disk
    fail "the images could not be built, see above. Where no registry can be reached, run images/offline.sh first"
}

check_port() {
    [[ -z $(compose ps --quiet nginx 2>/dev/null) ]] || return 0
    ! (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null ||
        fail "HTTP_PORT: $2 is taken on $1: stop what listens there, or set another (HTTP_PORT=8081)"
}

check_runtime() {
    local runtime
    runtime=$(setting TENANT_RUNTIME runc)
    docker info --format '{{range $name, $_ := .Runtimes}}{{println $name}}{{end}}' >"$work/runtimes"
    ! grep -qxF -- "$runtime" "$work/runtimes" || return 0
    [[ $runtime == runsc ]] || fail "TENANT_RUNTIME: the Docker Engine knows no runtime $runtime: register it in /etc/docker/daemon.json, or set runc"
    say 'To /etc/docker/daemon.json belongs, once gVisor is installed (gvisor.dev/docs/user_guide/install):'
    say "  {\"runtimes\": {\"runsc\": {\"path\": \"$(command -v runsc || printf /usr/bin/runsc)\", \"runtimeArgs\":"
    say '    ["--platform=systrap", "--network=none", "--host-uds=open", "--oci-seccomp"]}}}'
    fail "TENANT_RUNTIME: the Docker Engine knows no runtime runsc: add the lines above, run  sudo systemctl reload docker  and start again"
}

make_network() {
    docker network inspect "${COMPOSE_PROJECT_NAME}_admin" >/dev/null 2>&1 ||
        docker network create --label "plugbay.project=$COMPOSE_PROJECT_NAME" "${COMPOSE_PROJECT_NAME}_admin" >/dev/null
}

containers() { compose ps --all --quiet "$@" 2>/dev/null; }

# True when a service starts and ends over and over.
is_crashing() {
    containers | xargs --no-run-if-empty docker inspect --format '{{.State.Restarting}} {{.RestartCount}}' 2>/dev/null |
        grep -E '^true ([3-9]|[0-9]{2,})$' >/dev/null
}

# The last words of what does not run.
last_words() {
    local service container
    for service in mongo redis kept database folder host gateway oauth2-proxy nginx; do
        for container in $(containers "$service"); do
            [[ $(docker inspect --format '{{.State.Status}} {{.State.ExitCode}}' "$container") =~ ^(running|exited|created)\ 0$ ]] ||
                docker logs --tail 3 "$container" 2>&1 | sed "s/^/  $service: /" >&2
        done
    done
}

# Prints a path that answers through nginx; fails when nothing does in time, or ever will.
first_call() {
    local until=$((SECONDS + READY_SECS))
    until compose exec -T gateway python3 -P -m deploy.reach "$1" 5 2>"$work/problem"; do
        if ((SECONDS > until)) || is_crashing; then
            return 1
        fi
        sleep 0.5
    done
}

# Where a browser on this machine finds the stack.
origin() {
    local host=$1 scheme=http
    [[ $host != 0.0.0.0 ]] || host=127.0.0.1
    [[ -z $(setting TLS_CERT "") ]] || scheme=https
    printf '%s://%s:%s' "$scheme" "$host" "$2"
}

open_stack
check_runtime
check_disk
make_secrets
host=$(setting HTTP_HOST 127.0.0.1)
port=$(setting HTTP_PORT 8080)
check_port "$host" "$port"
build
ADMIN_IMAGE=$(image_id runner-admin)
TENANT_IMAGE=$(image_id runner-tenant)
make_network
say "Starting …"
if ! compose up --detach --remove-orphans "$@" >&2; then
    check_disk
    last_words
    fail "the stack did not start, see above; ./docker-logs.sh shows all"
fi
say "Waiting for the first call …"
origin=$(origin "$host" "$port")
if ! path=$(first_call "${origin%%:*}://nginx:8080"); then
    check_disk
    last_words
    fail "no call is answered: $(tail -n 1 "$work/problem"); ./docker-logs.sh shows all"
fi
insecure=
[[ $origin == http://* ]] || insecure='--insecure '  # the certificate is not for this address
cat <<END
Plugbay is ready at $origin
  admin    $(setting ADMIN_UUID "")  (its key: ADMIN_KEY in .env.local)
$(printf '  plugins  %s\n' "${plugin_folders[@]}")
  try      curl $insecure$origin$path
  more     ./docker-logs.sh -f, ./docker-restart.sh, ./docker-dn.sh
END
