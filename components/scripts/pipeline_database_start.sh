# Starts MySQL, and makes its data folder first where there is none. Safe to run after any crash.
# Environment: VOLUME_DIR (of the pod's volume), ACCOUNTS_FILE (statements that set every account), OPTIONS (words).
# The folder gets its name when it is complete, so that half of one is never taken for a database.
# The server runs ACCOUNTS_FILE at each start, before it answers anybody: the passwords are always those of the Secret.
set -eu

data="$VOLUME_DIR/data"
if [ ! -d "$data" ]; then
  rm -rf "$data.new"
  # shellcheck disable=SC2086 # words
  mysqld --no-defaults --initialize-insecure --datadir="$data.new" $OPTIONS
  mv "$data.new" "$data"
fi
# shellcheck disable=SC2086 # words
exec mysqld --no-defaults --datadir="$data" --init-file="$ACCOUNTS_FILE" $OPTIONS
