#!/usr/bin/env bash
# The main job on bundled data, from a bare checkout: installs what is missing, builds, trains a classifier of short
# sentences, evaluates it on sentences it has not seen, labels a few new ones and draws the curves. Writes to out/.
# Usage: tools/quickstart.sh
set -euo pipefail
cd "$(dirname "$0")/.."

tools/packages.sh build
cmake --preset release -DCRS_TESTS=OFF
cmake --build --preset release
carousel=build/release/carousel
mkdir -p out

say() { printf '\n== %s\n' "$*"; }

say "Training on data/emoji/train.tsv"
"$carousel" train data/emoji/train.tsv -o out/emoji.safetensors --overwrite --epochs 40 --patience 8 --word-dropout 0.2 \
  --model 'embedding 128 | dropout 0.5 | bilstm 32 seq | max | dropout 0.5 | dense'

say "Evaluating on data/emoji/test.tsv"
"$carousel" eval out/emoji.safetensors data/emoji/test.tsv

say "Labelling new sentences"
for sentence in "I baked bread and ate half of it warm" "We lost in the last minute" "She hugged me and would not let go"; do
  printf '%s\t%s\n' "$("$carousel" predict out/emoji.safetensors --quiet <<<"$sentence")" "$sentence"
done

say "Curves: out/emoji.svg and out/emoji.png; history: out/emoji.history.csv; model: out/emoji.safetensors"
