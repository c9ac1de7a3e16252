#!/usr/bin/env bash
# Sets up, then trains, evaluates and reports: `scripts/train.sh [CONFIG] [--FIELD VALUE ...]`.
# Run again, it goes on where it was stopped, or prints the table of the finished run. Runs are in the project's
# folder, wherever this is called from.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh" train

config=mt10/quick
if [[ $# -gt 0 && "$1" != -* ]]; then
  config="$1"
  if [[ -e "$config" ]]; then config="$(realpath "$config")"; fi
  shift
fi
cd "$root"
exec mtrl train "$config" --resume "$@"
