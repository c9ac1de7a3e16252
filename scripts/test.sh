#!/usr/bin/env bash
# Sets up, then checks all that must hold before a change is merged: `scripts/test.sh [pytest arguments]`.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh" all
cd "$root"

# The tests are many small computations: threads would only wait for each other.
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
ruff check .
ruff format --check .
# Neighbours share fixtures: each process takes a stretch of them, and helps another when it is through.
tests=(python -m pytest --numprocesses auto --dist worksteal)
if [[ $# -gt 0 ]]; then
  mypy
  lint-imports
  exec "${tests[@]}" "$@"
fi

# Those with Ray clusters wait most of the time, but give up on a machine that is busy when they do not: the others, beside
# them, take what they leave.
beside="$(mktemp)"
end() {
  if kill -INT "$alone" 2> /dev/null; then wait "$alone" || true; fi
  rm -f "$beside"
}
set -m # in a group of their own, or they would not hear what `end` says
python -m pytest -m alone tests/sweep > "$beside" 2>&1 &
alone=$!
set +m
trap end EXIT
mypy
lint-imports
status=0
nice -n 10 "${tests[@]}" || status=$?
# A few of them again, with the lowest versions that pyproject.toml allows.
python -m scripts.lowest || status=$?
wait "$alone" || status=$?
cat "$beside"
exit "$status"
