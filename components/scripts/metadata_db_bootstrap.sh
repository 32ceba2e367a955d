# Gives every consumer a role and a database that only this role may connect to, and the observer a role that may read
# the server's statistics and nothing else. Safe to run at any time.
# Environment: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE of the administrator, and what else libpq is to know.
# Each folder of CONSUMERS_DIR holds the files username, dbname and password of one consumer; OBSERVER_DIR is such a
# folder too, whose database is there already.
# Secrets are read by psql itself: they appear neither in arguments nor in the server's log.
# The administrator may be no superuser, as where a cloud runs the server: it may then make roles and databases, and
# becomes a member of the consumers' roles.
set -eu

# Whether the certificate is the right one is left to psql, which says what is wrong with it.
until PGSSLMODE=prefer pg_isready --quiet; do
  sleep 1
done

run_sql() {
  psql --no-psqlrc --quiet --tuples-only --set ON_ERROR_STOP=1
}

make_role() {
  export ROLE_FOLDER="$1"
  # What would write the password into the log is turned off first. Whoever may not do that ends here, before the
  # password is sent, unless the server's own settings say the same already.
  run_sql <<'SQL'
SELECT format('SET %I = %L', name, quiet)
  FROM (VALUES ('log_statement', 'none'), ('log_min_error_statement', 'panic'), ('log_min_duration_statement', '-1'))
    AS wanted (name, quiet)
  WHERE current_setting(name) <> quiet \gexec
\set role `cat "$ROLE_FOLDER/username"`
\set password `cat "$ROLE_FOLDER/password"`
SELECT format('CREATE ROLE %I', :'role')
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
SELECT format('ALTER ROLE %I %s', rolname, forbidden)
  FROM pg_roles, concat_ws(' ',
    CASE WHEN rolsuper THEN 'NOSUPERUSER' END,
    CASE WHEN rolcreatedb THEN 'NOCREATEDB' END,
    CASE WHEN rolcreaterole THEN 'NOCREATEROLE' END,
    CASE WHEN rolreplication THEN 'NOREPLICATION' END,
    CASE WHEN rolbypassrls THEN 'NOBYPASSRLS' END) AS forbidden
  WHERE rolname = :'role' AND forbidden <> '' \gexec
ALTER ROLE :"role" LOGIN PASSWORD :'password';
SQL
}

for folder in "$CONSUMERS_DIR"/*/; do
  make_role "$folder"
  run_sql <<'SQL'
\set role `cat "$ROLE_FOLDER/username"`
\set database `cat "$ROLE_FOLDER/dbname"`
SELECT format('GRANT %I TO CURRENT_USER', :'role')
  WHERE NOT pg_has_role(:'role', 'USAGE') \gexec
SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'role')
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
ALTER DATABASE :"database" OWNER TO :"role";
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
SQL
  echo "role and database of $(basename "$folder") are in place"
done

run_sql <<'SQL'
REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC;
SQL

make_role "$OBSERVER_DIR"
run_sql <<'SQL'
\set role `cat "$ROLE_FOLDER/username"`
\set database `cat "$ROLE_FOLDER/dbname"`
GRANT pg_monitor TO :"role";
GRANT CONNECT ON DATABASE :"database" TO :"role";
SQL
echo "role of the observer is in place"
