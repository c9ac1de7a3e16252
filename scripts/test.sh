#!/usr/bin/env bash
# Sets up, then checks all that must hold before a change is merged: `scripts/test.sh [pytest arguments]`.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh" all
cd "$root"

# The tests are many small computations: threads would only wait for each other.
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# Or each of the hundreds of processes that they start would compile all of mtrl again.
unset PYTHONDONTWRITEBYTECODE
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
checks() {
  trap "exit 130" INT
  local failed=0
  mypy || failed=1
  lint-imports || failed=1
  python -m pytest -m alone tests/sweep || failed=1
  return "$failed"
}
said="$(mktemp)"
end() {
  if kill -INT -- "-$beside" 2> /dev/null; then wait "$beside" || true; fi
  rm -f "$said"
}
set -m # in a group of their own, or they would not hear what `end` says
checks > "$said" 2>&1 &
beside=$!
set +m
trap end EXIT
status=0
nice -n 10 "${tests[@]}" || status=$?
wait "$beside" || status=$?
cat "$said"
exit "$status"
