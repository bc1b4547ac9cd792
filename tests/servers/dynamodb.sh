#!/usr/bin/env bash
# Installs DynamoDB Local for the tests, once per version, and prints its folder.
#
#   tests/servers/dynamodb.sh CACHE        CACHE: the folder that holds such things
#
# Needs java (17 or later, a JDK) and mvn, which fetches from wherever it is set up to fetch from.
# The folder is CACHE/dynamodb-<checksum of what is in tests/servers/dynamodb>; a file `complete`
# in it says that the installation came to its end. Without java or mvn: a line on stderr, and
# status 0, since the tests that need it are then skipped by name.
set -euo pipefail

here=$(cd "$(dirname "$0")/dynamodb" && pwd)
cache=$1
folder=$cache/dynamodb-$(cat "$here/pom.xml" "$here/Local.java" | cksum | cut -d' ' -f1)

if [ ! -e "$folder/complete" ]; then
  if ! command -v mvn >/dev/null || ! command -v javac >/dev/null; then
    echo "java (a JDK) and mvn aren't there: tests against DynamoDB Local will be skipped by name" >&2
    exit 0
  fi
  mkdir -p "$folder"
  # Two that install at once must not mix their files.
  exec 9>"$folder/lock"
  flock 9
  if [ ! -e "$folder/complete" ]; then
    cp "$here/pom.xml" "$here/Local.java" "$folder/"
    if ! (cd "$folder" && mvn -q -B dependency:copy-dependencies -DoutputDirectory=libs >&2 \
      && javac -cp 'libs/*' -d classes Local.java); then
      echo "DynamoDB Local can't be installed: tests against it will be skipped by name" >&2
      exit 0
    fi
    touch "$folder/complete"
  fi
fi
echo "$folder"
