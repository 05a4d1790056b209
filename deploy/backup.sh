#!/bin/sh
# Writes the two archives of a backup into the folder $1, named by the time, and beside them what `sha256sum --check` reads. Further arguments
# are those of `keyward backup`: whose key opens them, and where files are. Run by `docker compose run --rm backup`.
set -eu
umask 077
cli=$(cd "$(dirname "$0")/.." && pwd)/dist/apps/cli/main.js
cd "${1:?usage: backup.sh FOLDER OPTION…}"
shift
now=$(date -u +%Y-%m-%dT%H%M%SZ)
if node "$cli" backup --database "$now.rows.kwb" --custody "$now.custody.kwb" "$@" >"$now.new"; then
  mv "$now.new" "$now.sums"
else
  exit=$?
  rm -f "$now.new"
  exit $exit
fi
