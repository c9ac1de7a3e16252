#!/usr/bin/env bash
# Proves the project on one GPU in nine minutes: the device's tests, updates/s, then configs/mt10/gpu.yaml for the rest.
#
#     scripts/gpu_check.sh [--device cuda] [--minutes 9] [--out gpu-check] [--smoke]
#
# Needs torch and pytest, no network: other packages are taken from wheels/ where this folder is there, which
# `scripts/offline_bundle.sh --python X.Y --no-envpool --out wheels --there NAME ...` makes elsewhere. Each step's result
# is written at once, so that a run that is cut off still counts. `--device cpu --smoke` tries the script itself out.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
python="${PYTHON:-python3}"
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
if compgen -G "$root/wheels/*.whl" > /dev/null; then
  site="$(mktemp -d)"
  trap 'rm -rf "$site"' EXIT
  "$python" -m pip --disable-pip-version-check install --quiet --no-index --no-deps --no-compile --target "$site" \
    "$root"/wheels/*.whl
  export PYTHONPATH="$PYTHONPATH:$site"
fi
cd "$root"
"$python" -m scripts.gpu_check "$@"
