#!/usr/bin/env bash
# Train the built-in guide and the tests' judge, from nothing, in FOLDER.
# Needs npm, Debian's apt-get, and pip install -e ".[guide]"; two and a half hours on two cores.
# Stopped, the same command goes on.
set -euo pipefail
folder=${1:?usage: scripts/guide/all.sh FOLDER}
scripts=$(dirname "$0")

"$scripts/fetch.sh" "$folder"
[ -f "$folder/captions.json" ] || python "$scripts/prepare.py" "$folder"

stage() { # NAME OPTION…: one training, its result in FOLDER/runs/NAME
  python "$scripts/train.py" "$folder" "$folder/runs/$1" "${@:2}"
}

stage plain --steps 6000 --until 2400 --radius 0 --sides 32 32 32 48 64
stage near --begin "$folder/runs/plain" --seed 1 --steps 2800 --until 1100 --rate 1.5e-3 \
  --radius 1.5 --sides 48 64 64 64 --ramp 0 0.15 --simple 0.5 0.25
stage far --begin "$folder/runs/near" --seed 2 --steps 1900 --word-steps 0 --rate 1.5e-3 \
  --radius 2 --ramp 0 0.2 --simple 0.4 0.25
stage faint --begin "$folder/runs/far" --seed 3 --steps 1100 --word-steps 0 --rate 1.2e-3 \
  --radius 2 --ramp 0 0.02 --simple 0.35 0.25
stage drawn --begin "$folder/runs/faint" --seed 4 --steps 2200 --word-steps 2000 --rate 1.5e-3 \
  --radius 2 --ramp 0 0.02 --simple 0.35 0.25
stage judge --seed 7 --vision cs3darknet_focus_s --text-width 64 --left-out --steps 4400 \
  --word-steps 1500 --radius 0.5 --sides 32 32 48 64 64 64 --ramp 0.75 0.85 --faint 0 0.45

"$scripts/photographs.sh" "$folder"
