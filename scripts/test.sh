#!/usr/bin/env bash
# Sets up, then checks all that must hold before a change is merged: `scripts/test.sh [pytest arguments]`.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh" all
cd "$root"

# The tests are many small computations: threads would only wait for each other.
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
ruff check .
ruff format --check .
mypy
lint-imports
# Neighbours share fixtures: each process takes a stretch of them, and helps another when it is through.
python -m pytest --numprocesses auto --dist worksteal "$@"
# A few of them again, with the lowest versions that pyproject.toml allows.
if [[ $# -eq 0 ]]; then python -m scripts.lowest; fi
# With Ray clusters, which give up on a busy machine.
if [[ $# -eq 0 ]]; then exec python -m pytest -m alone; fi
