# Gives every consumer a role and a database that only this role may connect to. Safe to run at any time.
# Environment: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE of the administrator.
# Each folder of CONSUMERS_DIR holds the files username, dbname and password of one consumer.
# Secrets are read by psql itself: they appear neither in arguments nor in the server's log.
set -eu

until pg_isready --quiet; do
  sleep 1
done

for folder in "$CONSUMERS_DIR"/*/; do
  export CONSUMER_FOLDER="$folder"
  psql --no-psqlrc --quiet --tuples-only --set ON_ERROR_STOP=1 <<'SQL'
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;
\set role `cat "$CONSUMER_FOLDER/username"`
\set database `cat "$CONSUMER_FOLDER/dbname"`
\set password `cat "$CONSUMER_FOLDER/password"`
SELECT format('CREATE ROLE %I', :'role')
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
ALTER ROLE :"role" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'password';
SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'role')
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
ALTER DATABASE :"database" OWNER TO :"role";
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
SQL
  echo "role and database of $(basename "$folder") are in place"
done

psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --command 'REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC'
