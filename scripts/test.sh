#!/usr/bin/env bash
# Makes the environment, then checks format, lint and types and runs the tests.
# Arguments go to pytest: `scripts/test.sh -m slow` runs the slow ones.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh ".[dev]"

ruff format --check .
ruff check .
mypy
python -m pytest --quiet --durations 5 --numprocesses auto --maxprocesses 4 --dist worksteal "$@"
