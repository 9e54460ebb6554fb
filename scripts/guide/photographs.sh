#!/usr/bin/env bash
# Train the built-in guide on, with photographs and models of everyday things, in a FOLDER of its
# own: from the shipped weights to FOLDER/runs/words, and 0.6 of the way there to
# FOLDER/runs/average. An hour of one core; stopped, the same command goes on. The card says why
# its result is not what is shipped.
set -euo pipefail
folder=${1:?usage: scripts/guide/photographs.sh FOLDER}
scripts=$(dirname "$0")
shipped="$scripts/../../dreamvid/data/guides/mini"

"$scripts/fetch.sh" "$folder" photographs
[ -f "$folder/credits.md" ] || python "$scripts/prepare.py" "$folder" --photographs

python "$scripts/train.py" "$folder" "$folder/runs/photographs" --begin "$shipped" --seed 5 \
  --steps 1500 --word-steps 1800 --rate 1e-3 --radius 2 --ramp 0 0.02 --simple 0.35 0.25 \
  --photographic 0.3
python "$scripts/train.py" "$folder" "$folder/runs/words" --begin "$folder/runs/photographs" \
  --seed 6 --steps 0 --word-steps 1300 --photographic 0.3

python "$scripts/average.py" "$shipped" "$folder/runs/words" 0.6 "$folder/runs/average"
