#!/usr/bin/env bash
# Train the built-in guide on, with photographs and models of everyday things, after all.sh and in
# the same FOLDER: from FOLDER/runs/drawn to FOLDER/runs/mini, by way of FOLDER/photographs.
# An hour of one core; stopped, the same command goes on.
set -euo pipefail
folder=${1:?usage: scripts/guide/photographs.sh FOLDER}
scripts=$(dirname "$0")
data="$folder/photographs"

"$scripts/fetch.sh" "$folder" photographs
mkdir -p "$data/drawn"
ln -sfn ../npm "$data/npm"
ln -sfn ../deb "$data/deb"
[ -f "$data/captions.json" ] || python "$scripts/prepare.py" "$data" --photographs
# The guide alone, without its training's state: there are more concepts now.
cp "$folder"/runs/drawn/open_clip* "$data/drawn"

python "$scripts/train.py" "$data" "$data/runs/photographs" --begin "$data/drawn" --seed 5 \
  --steps 1500 --word-steps 1800 --rate 1e-3 --radius 2 --ramp 0 0.02 --simple 0.35 0.25 \
  --photographic 0.3
python "$scripts/train.py" "$data" "$data/runs/words" --begin "$data/runs/photographs" \
  --seed 6 --steps 0 --word-steps 1300 --photographic 0.3

python "$scripts/average.py" "$data/drawn" "$data/runs/words" 0.7 "$folder/runs/mini" --words 0.5
