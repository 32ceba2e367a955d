#!/bin/sh
# Like the official image: `minio` may be left out of the arguments.
set -eu

if [ "${1:-}" != minio ]; then
    set -- minio "$@"
fi
exec "$@"
