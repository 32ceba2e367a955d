# Builds the platform's own images, pushes them, says what is in them and signs both: `publish.sh REGISTRY VERSION`.
# Needs docker, logged in to the registry; syft; cosign, which signs as the workflow that runs it, without a key.
# A version is pushed once: what a stack has been promoted to must not change under its tag.
set -eu

registry=${1:?registry and path}
version=${2:?version}

if docker manifest inspect "$registry/mlplatform/ml:$version" >/dev/null 2>&1 &&
  docker manifest inspect "$registry/mlplatform/training:$version" >/dev/null 2>&1; then
  echo "version $version is there already"
  exit 0
fi

# Each is made from the one before; their container files name them so.
for name in base builder ml-packages tensorflow training-packages; do
  docker build --file "images/$name/Containerfile" --tag "localhost/mlplatform/$name:local" .
done

for name in ml training; do
  image="$registry/mlplatform/$name"
  docker build --file "images/$name/Containerfile" --tag "$image:$version" .
  docker push "$image:$version"
  # From here on by digest: a tag can be moved between two of these commands.
  reference=$(docker image inspect --format '{{index .RepoDigests 0}}' "$image:$version")
  syft scan "registry:$reference" --output "spdx-json=$name.spdx.json"
  cosign sign --yes "$reference"
  cosign attest --yes --type spdxjson --predicate "$name.spdx.json" "$reference"
done
