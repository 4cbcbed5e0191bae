#!/bin/sh
# Flags, and files that are no programs, are for node; everything else is run as it is.
set -e
if [ "${1#-}" != "$1" ] || ! command -v "$1" >/dev/null; then set -- node "$@"; fi
exec "$@"
