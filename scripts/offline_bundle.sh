#!/usr/bin/env bash
# For machines without a network: one folder with everything that `mtrl train` needs beyond torch and numpy, and the
# line that installs it. Run where there is a network: `scripts/offline_bundle.sh [--python 3.12] [--out DIR]`.
# Needs Python 3.11 or newer with pip, nothing installed; PYTHON=... names another. --python is the one over there.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
PYTHONPATH="$root" exec "${PYTHON:-python3}" -m scripts.offline_bundle "$@"
