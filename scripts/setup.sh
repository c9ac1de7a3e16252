#!/usr/bin/env bash
# Makes .venv as pinned in constraints.txt: `source setup.sh train` with what the main job needs, `source setup.sh all`
# with what everything needs. Quick to run again, safe to run twice at once; interrupted, it begins anew.
# The other scripts source it: afterwards .venv/bin is in front of PATH. PYTHON=... names another interpreter.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
python="${PYTHON:-python3}"

if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
  found="$("$python" --version 2> /dev/null || echo "not there")"
  echo "setup: Python 3.11 to 3.13 is needed; $python is $found (PYTHON=... names another)" >&2
  exit 2
fi
"$python" "$root/scripts/install.py" "${1:-all}"
export PATH="$root/.venv/bin:$PATH"
