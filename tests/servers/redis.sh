#!/usr/bin/env bash
# Installs redis-server for the tests, from the system's packages, and prints where it is.
#
#   tests/servers/redis.sh
#
# Needs apt-get and the right to use it. Without: a line on stderr, and status 0, since the tests
# that need it are then skipped by name.
set -euo pipefail

if ! command -v redis-server >/dev/null; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "redis-server isn't there, and only root with apt-get can install it: tests against Redis will be skipped by name" >&2
    exit 0
  fi
  export DEBIAN_FRONTEND=noninteractive
  # No service: the tests start servers of their own.
  if ! { apt-get install -y -q --no-install-recommends redis-server redis-tools >&2 \
    || { apt-get update -q >&2 && apt-get install -y -q --no-install-recommends redis-server redis-tools >&2; }; }; then
    echo "redis-server can't be installed: tests against Redis will be skipped by name" >&2
    exit 0
  fi
fi
command -v redis-server || echo "redis-server isn't there after all: tests against Redis will be skipped by name" >&2
