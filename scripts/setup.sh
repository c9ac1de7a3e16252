#!/usr/bin/env bash
# Makes .venv with everything installed, as pinned in constraints.txt. Quick to run again, safe to run twice at once.
# The other scripts source it: afterwards .venv/bin is in front of PATH. PYTHON=... names another interpreter.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
python="${PYTHON:-python3}"

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  found="$("$python" --version 2> /dev/null || echo "not there")"
  echo "setup: Python 3.11 or newer is needed; $python is $found (PYTHON=... names another)" >&2
  exit 2
fi

# What .venv should be: a change of any part installs again.
wanted="$("$python" - "$root" <<'PYTHON'
import hashlib, pathlib, sys

root = pathlib.Path(sys.argv[1])
files = b"".join((root / name).read_bytes() for name in ("pyproject.toml", "constraints.txt"))
print(hashlib.sha256(files).hexdigest(), sys.version.split()[0], root)
PYTHON
)"
stamp="$root/.venv/installed"

stamped() { cat "$stamp" 2>/dev/null || true; }

# An interrupted installation may have left half a package, and another Python leaves packages of its own.
is_usable() {
  [[ "$(stamped)" != installing ]] &&
    "$root/.venv/bin/python" -m pip --version &>/dev/null &&
    [[ "$("$root/.venv/bin/python" --version)" == "$("$python" --version)" ]]
}

install_all() {
  echo "setup: installing into $root/.venv, which takes some minutes the first time" >&2
  is_usable || "$python" -m venv --clear "$root/.venv"
  echo installing > "$stamp"
  local pip=("$root/.venv/bin/python" -m pip --disable-pip-version-check install --quiet)
  pip+=(--constraint "$root/constraints.txt")
  "${pip[@]}" "$(grep '^torch==' "$root/constraints.txt")"
  "${pip[@]}" --editable "$root[rl,supervised,envpool,track,video,export,reference,dev]"
  echo "$wanted" > "$stamp"
}

if [[ "$(stamped)" != "$wanted" ]]; then
  # Of two at once, one waits here and then finds the work done.
  exec 9< "$root"
  if command -v flock > /dev/null; then flock 9; fi
  if [[ "$(stamped)" != "$wanted" ]]; then install_all; fi
  exec 9<&-
fi
export PATH="$root/.venv/bin:$PATH"
