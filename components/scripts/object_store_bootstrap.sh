# Gives every consumer a versioned bucket and a user that may use this bucket and nothing else, and the observer a user
# that may read metrics and no object. Safe to run at any time.
# Environment: MC_HOST_store (address with the administrator's credentials), MC_CONFIG_DIR (writable).
# Each folder of CONSUMERS_DIR holds the files access-key, secret-key and bucket of one consumer; OBSERVER_DIR is such a
# folder without a bucket.
# Secret keys reach mc by standard input: an argument would be readable in the list of processes.
set -eu

until mc --quiet ready store >/dev/null 2>&1; do
  sleep 1
done

# Takes the folder of a user and a policy's name; the policy is the file that was written last.
make_user() {
  user=$(cat "$1/access-key")
  mc --quiet admin policy create store "$2" "$MC_CONFIG_DIR/policy.json"
  printf '%s\n%s\n' "$user" "$(cat "$1/secret-key")" | mc --quiet admin user add store
  mc --quiet admin policy attach store "$2" --user "$user"
}

for folder in "$CONSUMERS_DIR"/*/; do
  bucket=$(cat "$folder/bucket")
  mc --quiet mb --ignore-existing "store/$bucket"
  mc --quiet version enable "store/$bucket"
  cat >"$MC_CONFIG_DIR/policy.json" <<JSON
{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": [
        "s3:GetBucketLocation", "s3:GetBucketVersioning", "s3:ListBucket", "s3:ListBucketVersions",
        "s3:ListBucketMultipartUploads"
      ],
      "Resource": ["arn:aws:s3:::$bucket"]
    },
    {
      "Effect": "Allow",
      "Action": [
        "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:DeleteObject",
        "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"
      ],
      "Resource": ["arn:aws:s3:::$bucket/*"]
    }
  ]
}
JSON
  make_user "$folder" "bucket-$bucket"
  echo "bucket and user of $(basename "$folder") are in place"
done

cat >"$MC_CONFIG_DIR/policy.json" <<JSON
{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["admin:Prometheus"]}]}
JSON
make_user "$OBSERVER_DIR" "metrics"
echo "user of the observer is in place"
