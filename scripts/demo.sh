#!/usr/bin/env bash
# Makes the environment, dreams the sample clip with the built-in guide, and lets another model,
# which had no part in it, judge the result.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh .

prompt=${1:-"a coral reef"}
mkdir -p out
dreamvid video samples/flight.mp4 out/flight.mp4 --prompt "$prompt" --overwrite
dreamvid eval samples/flight.mp4 out/flight.mp4 --judge local-dir:tests/judge \
    --sheet out/flight.png --plot out/flight-figures.png --overwrite
echo "result: out/flight.mp4; source above, result below: out/flight.png; over time: out/flight-figures.png"
