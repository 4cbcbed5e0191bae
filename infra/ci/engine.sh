#!/usr/bin/env bash
# A Docker engine for a CI machine (Debian, root) that has none, and the two images our Dockerfile and tests start from, made here because
# no registry may be in reach. At a desk nothing of this is needed: there an engine is there already, or tests run on processes.
#
#   infra/ci/engine.sh up <node program> <folder of npm>    the engine listens on its usual socket; says each step; non-zero: it could not be
#   infra/ci/engine.sh down                                 ends what `up` started
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(cd "$here/../.." && pwd)/.cache/engine
export DOCKER_CONFIG="$work/config"
say() { echo "engine +${SECONDS}s: $*"; }
apt() { timeout 120 apt-get -qq -o APT::Sandbox::User= -o Acquire::Languages=none -o Acquire::Retries=2 "$@" </dev/null >>"$work/apt.log" 2>&1; }

down() {
  [ -f "$work/dockerd.pid" ] || exit 0
  ids=$(timeout 10 docker ps -aq || true)
  [ -z "$ids" ] || timeout 30 docker rm -f $ids >/dev/null || true
  pid=$(cat "$work/dockerd.pid")
  kill "$pid" 2>/dev/null || true
  for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
  rm -f "$work/dockerd.pid"
}

packages() {
  command -v dockerd >/dev/null && command -v mmdebstrap >/dev/null && return
  export DEBIAN_FRONTEND=noninteractive
  apt update
  apt install -y --no-install-recommends docker.io mmdebstrap
}

engine() {
  timeout 10 docker info >/dev/null 2>&1 && return
  setsid dockerd --pidfile "$work/dockerd.pid" >"$work/dockerd.log" 2>&1 </dev/null &
  for _ in $(seq 200); do
    timeout 5 docker info >/dev/null 2>&1 && return
    kill -0 $! 2>/dev/null || break
    sleep 0.1
  done
  tail -n 5 "$work/dockerd.log"
  return 1
}

# Debian 12 has no Compose v2 and no buildx; Debian 13's are programs that need its libc only, and run here. Kept in a folder of our own.
plugins() {
  docker compose version >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1 && return
  local lists="$work/plugins" mirror
  mkdir -p "$lists"/{lists/partial,cache/archives/partial,debs,root} "$DOCKER_CONFIG/cli-plugins"
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -n 1)
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$lists/sources.list"
  local own=(-o Dir::Etc::sourcelist="$lists/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists="$lists/lists" -o Dir::Cache="$lists/cache")
  apt "${own[@]}" update
  (cd "$lists/debs" && apt "${own[@]}" download docker-compose docker-buildx && for deb in *.deb; do dpkg-deb -x "$deb" ../root; done)
  cp "$lists"/root/usr/libexec/docker/cli-plugins/docker-{compose,buildx} "$DOCKER_CONFIG/cli-plugins/"
}

has() { docker image inspect "$1" >/dev/null 2>&1; }

images() {
  local node=$1 npm=$2 context="$work/node"
  has tavus-fleet-ci/debian || {
    mmdebstrap --quiet --variant=minbase --include=ca-certificates --dpkgopt='path-exclude=/usr/share/man/*' \
      --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' bookworm "$work/debian.tar" >>"$work/apt.log" 2>&1
    docker import --change 'CMD ["bash"]' "$work/debian.tar" tavus-fleet-ci/debian >/dev/null
    rm "$work/debian.tar"
  }
  say 'Debian'
  has redis:7-bookworm || docker build --quiet --tag redis:7-bookworm "$here/images/redis" >/dev/null
  say 'Redis'
  has node:24-bookworm-slim || {
    rm -rf "$context"; mkdir -p "$context"
    cp "$here"/images/node/* "$context"
    cp "$node" "$context/node"
    cp -rL "$npm" "$context/npm"
    cp /etc/ssl/certs/ca-certificates.crt "$context"
    docker build --quiet --tag node:24-bookworm-slim "$context" >/dev/null
    rm -rf "$context"
  }
  say 'Node'
}

mkdir -p "$work" "$DOCKER_CONFIG"
case "${1-}" in
  up)
    packages; say 'packages'
    engine; say "$(docker version --format '{{.Server.Version}}')"
    plugins; say "$(docker compose version --short)"
    images "$2" "$3"
    ;;
  down) down ;;
  *) echo 'usage: engine.sh up <node> <npm> | down' >&2; exit 2 ;;
esac
