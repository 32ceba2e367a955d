# Builds the platform's own images, pushes them, says what is in them and signs both: `publish.sh REGISTRY VERSION
# SIGNER`.
# Needs docker with buildx, logged in to the registry; syft; cosign, which signs as the workflow that runs it, without a
# key: SIGNER is that identity, as certificates name it.
# A version is pushed once: what a stack has been promoted to must not change under its tag. Wherever a run is cut off,
# the next one does what is missing and nothing twice.
set -eu

registry=${1:?registry and path}
version=${2:?version}
signer=${3:?identity of the workflow that signs}
issuer=https://token.actions.githubusercontent.com

# Asked with buildx, as `docker manifest inspect` says "no such manifest" of a refused login and of a broken registry too.
is_published() {
  if answer=$(docker buildx imagetools inspect "$1" 2>&1 >/dev/null); then
    return 0
  fi
  # Its words for a registry that answered 404, and only those: any other answer has not said that the tag is free.
  case $answer in
    *"ERROR: $1: not found") return 1 ;;
  esac
  echo "cannot tell whether $1 is there already: $answer" >&2
  exit 1
}

is_signed() {
  cosign verify --certificate-oidc-issuer "$issuer" --certificate-identity "$signer" "$1" >/dev/null
}

is_described() {
  cosign verify-attestation --type spdxjson --certificate-oidc-issuer "$issuer" --certificate-identity "$signer" "$1" \
    >/dev/null
}

missing=
for name in ml training; do
  is_published "$registry/mlplatform/$name:$version" || missing="$missing $name"
done

# All are built before the first is pushed: what cannot be built leaves no version behind of which a part is there.
if [ -n "$missing" ]; then
  # Each is made from the one before; their container files name them so.
  for name in base builder ml-packages tensorflow training-packages; do
    docker build --file "images/$name/Containerfile" --tag "localhost/mlplatform/$name:local" .
  done
  for name in $missing; do
    docker build --file "images/$name/Containerfile" --tag "$registry/mlplatform/$name:$version" .
  done
  for name in $missing; do
    docker push "$registry/mlplatform/$name:$version"
  done
fi

for name in ml training; do
  image="$registry/mlplatform/$name"
  # From here on by digest: a tag can be moved between two of these commands.
  digest=$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$image:$version")
  reference="$image@$digest"
  if ! is_described "$reference"; then
    syft scan "registry:$reference" --output "spdx-json=$name.spdx.json"
    cosign attest --yes --type spdxjson --predicate "$name.spdx.json" "$reference"
  fi
  if ! is_signed "$reference"; then
    cosign sign --yes "$reference"
  fi
done
