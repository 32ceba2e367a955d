#!/bin/sh
# Starts PostgreSQL and, the first time, makes its data directory.
#
# Takes what the official image takes, as far as the platform uses it: PGDATA, POSTGRES_USER (postgres),
# POSTGRES_PASSWORD_FILE or POSTGRES_PASSWORD (one is required), POSTGRES_DB (the user's name), POSTGRES_INITDB_ARGS.
# The data directory is complete or absent: it is made under another name and then renamed.
set -eu

fail() {
    echo "docker-entrypoint.sh: $1" >&2
    exit 1
}

make_data_directory() {
    user=${POSTGRES_USER:-postgres}
    database=${POSTGRES_DB:-$user}
    unfinished=$PGDATA.unfinished
    password_file=${POSTGRES_PASSWORD_FILE:-}
    if [ -z "$password_file" ]; then
        [ -n "${POSTGRES_PASSWORD:-}" ] || fail "POSTGRES_PASSWORD_FILE or POSTGRES_PASSWORD must be set"
        password_file=/tmp/initial-password
        (umask 077 && printf '%s\n' "$POSTGRES_PASSWORD" >"$password_file")
    fi
    [ -s "$password_file" ] || fail "POSTGRES_PASSWORD_FILE=$password_file: no such file, or an empty one"

    rm -rf "$unfinished"
    # shellcheck disable=SC2086  the arguments are meant to be split
    initdb --pgdata="$unfinished" --username="$user" --pwfile="$password_file" \
        --auth-host=scram-sha-256 --auth-local=trust --encoding=UTF8 --locale=C.UTF-8 \
        ${POSTGRES_INITDB_ARGS:-}
    printf 'host all all all scram-sha-256\n' >>"$unfinished/pg_hba.conf"
    printf "listen_addresses = '*'\n" >>"$unfinished/postgresql.conf"
    if [ "$database" != postgres ]; then
        printf 'CREATE DATABASE "%s" OWNER "%s";\n' "$database" "$user" |
            postgres --single -D "$unfinished" postgres >/dev/null
    fi
    rm -f /tmp/initial-password
    # An empty directory may be there already: a mounted volume's sub-directory.
    rmdir "$PGDATA" 2>/dev/null || true
    mv "$unfinished" "$PGDATA"
}

if [ "${1:-}" = postgres ]; then
    mkdir -p "$(dirname "$PGDATA")"
    if [ ! -s "$PGDATA/PG_VERSION" ]; then
        make_data_directory
    fi
fi
exec "$@"
