#!/usr/bin/env bash
# Builds the image where there is no registry: the base by mmdebstrap, the wheels by pip, the rest by buildah.
# Leaves localhost/reconciler:ci in the store of build/image, and prints what was built and how long it took.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

python=${1:-.venv/bin/python}
work=$PWD/build/image
store=(--root "$work/store" --runroot "$work/run" --storage-driver overlay)
began=$SECONDS
mkdir -p "$work/base" "$work/wheels"

if [[ ! -f $work/base/rootfs.tar ]]; then
  rm -f "$work/base/part.tar"
  mmdebstrap --quiet --variant=minbase --include=python3,python3-venv,ca-certificates \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' bookworm "$work/base/part.tar" </dev/null
  mv "$work/base/part.tar" "$work/base/rootfs.tar"
fi
if ! buildah "${store[@]}" inspect --type image localhost/base >/dev/null 2>&1; then
  printf 'FROM scratch\nADD rootfs.tar /\n' >"$work/base/Dockerfile"
  buildah "${store[@]}" bud --isolation chroot --quiet --tag localhost/base --file "$work/base/Dockerfile" "$work/base" >/dev/null
fi
echo "base: $((SECONDS - began)) s"

# What the build would fetch from an index, for the Python of the base; and what it builds with.
"$python" - >"$work/requirements.txt" <<'PYTHON'
from configparser import ConfigParser
config = ConfigParser()
config.read("setup.cfg")
lines = [line.partition("#")[0].strip() for line in config["options"]["install_requires"].splitlines()]
print("setuptools", *filter(None, lines), sep="\n")
PYTHON
"$python" -m pip download --quiet --disable-pip-version-check --only-binary :all: --python-version 3.11 \
  --constraint constraints.txt --requirement "$work/requirements.txt" --dest "$work/wheels"
echo "wheels: $((SECONDS - began)) s"

buildah "${store[@]}" bud --isolation chroot --pull-never --quiet --volume "$work/wheels:/wheels:ro" \
  --build-arg BASE_IMAGE=localhost/base --build-arg "PIP_OPTIONS=--no-index --find-links /wheels" \
  --tag localhost/reconciler:ci --file Dockerfile . >/dev/null
buildah "${store[@]}" push --quiet localhost/reconciler:ci "oci-archive:$work/image.tar"
echo "image: $((SECONDS - began)) s, $(stat --format=%s "$work/image.tar" | numfmt --to=iec) packed"
