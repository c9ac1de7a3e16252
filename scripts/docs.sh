#!/usr/bin/env bash
# Sets up, then builds the documentation into build/docs: `scripts/docs.sh [sphinx arguments]`. A warning is an error.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh" all
cd "$root"
python -m sphinx -W --keep-going --quiet -b html "$@" docs build/docs
echo "docs: open $root/build/docs/index.html"
