#!/usr/bin/env bash
# Everything that needs a card, in one command: is it right, how fast is it, what does it take?
# Prints a block of Markdown to paste, and writes it with a trace to out/gpu. Options: gpu.py --help
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh .

mkdir -p out/gpu
python scripts/gpu.py --out out/gpu "$@"
echo "written: out/gpu/gpu.md; open out/gpu/trace.json at ui.perfetto.dev"
