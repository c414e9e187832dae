#!/usr/bin/env bash
# The programs of tools/bench/ that are in the build folder $1: the generator's rows follow from their numbers alone and
# are the same bytes everywhere, and bench_network and bench_scale answer what compare.py and scale.py ask. Times nothing.
set -euo pipefail
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  echo "bench_tools.sh: $*" >&2
  exit 1
}

generate=$build/generate_reviews
"$generate" --rows 500 >"$work/all.txt"
[ "$(cksum <"$work/all.txt")" = "2002621207 227194" ] || fail "500 rows are other bytes than they were"
"$generate" --rows 100 --first 400 | cmp - <(tail -n 100 "$work/all.txt") || fail "rows depend on those before them"
"$generate" --rows 500 --seed 2 | cmp -s - "$work/all.txt" && fail "another seed gives the same rows"
"$generate" --rows 500 --classes 7 | cut -d ' ' -f 1 | sort -u | wc -l | grep -qx 7 || fail "not all of 7 classes came"
"$generate" --rows 50 --length 2048 | awk 'NF < 2049 { exit 1 } END { exit NR != 50 }' || fail "not every row has the words asked for"
[ "$("$generate" --rows 300 --classes 300 --in-turn 1 --noise 0 | cut -d ' ' -f 1 | sort -u | wc -l)" -eq 300 ] ||
  fail "300 rows of 300 classes in turn lack one"
! "$generate" --rows -1 2>/dev/null || fail "a negative number of rows is taken"
! "$generate" --rows 100000 2>/dev/null >/dev/full || fail "a full disk is not noticed"

# The same network twice from the same seed: the losses have to be the same.
network="network T=16 B=4 V=100 ragged=1 batches=2 numbers=$work/numbers : embedding 8 | lstm 8 seq | gru 4 | dense 1"
answers=$("$build/bench_network" <<EOF2
$network
losses 3
$network
losses 3
predict 1
sentences T=5 B=2 V=20 : embedding 4 | lstm 4 | dense 1
sentence 1
read $work/all.txt
ceiling 10
EOF2
)
[ "$(wc -l <<<"$answers")" -eq 10 ] || fail "not every request was answered: $answers"
[ "$(grep -c '"losses"' <<<"$answers")" -eq 2 ] || fail "no losses: $answers"
[ "$(grep '"losses"' <<<"$answers" | sort -u | wc -l)" -eq 1 ] || fail "the same training gives other losses: $answers"
grep -q '"rows": 500' <<<"$answers" || fail "not all rows were read: $answers"
! grep -qi nan <<<"$answers" || fail "a number is none: $answers"
for name in ids len labels logits loss layers.1.weight_hh_l0 d:layers.1.weight_hh_l0; do
  grep -aq "$name \(float32\|int32\) [0-9]*$" "$work/numbers" || fail "the numbers lack $name"
done
! echo "network T=8 : embedding 4 | conv 4 3 same | max | dense 1" | "$build/bench_network" >/dev/null 2>&1 ||
  fail "operations that cannot be counted are told"

# What scale.py asks for: all rows, all batches, and the cache the second time.
scale=$build/bench_scale
"$scale" batches "$work/all.txt" batch=32 | grep -q '"batches": 16, .*"rows": 500, ' || fail "batches or rows lack"
written=
for start in first second; do
  [ "$start" = first ] && cached=0 || cached=1
  "$scale" read "$work/all.txt" cache="$work/cache" vocabulary=100 |
    grep -q '"vocabulary": 100, .*"mapped": 1, "cached": '"$cached"'}' ||
    fail "the $start start has no cache, not the settings, or tells wrongly whether it took one"
  [ -z "$written" ] || [ "$written" = "$(stat -c '%i %y' "$work"/cache/*)" ] || fail "the cache is written again"
  written=$(stat -c '%i %y' "$work"/cache/*)
done
! "$scale" read "$work/all.txt" vocabulary=no 2>/dev/null || fail "a setting that does not fit is taken"

# scale.py from end to end: its files, the folder that it takes away, and those that are not its own. No GPU is seen.
scale_py() {
  CUDA_VISIBLE_DEVICES='' CUHOST_DEVICES=0 python3 "$(dirname "$0")/../tools/bench/scale/scale.py" --build "$build" --folder "$work/texts" "$@" \
    >"$work/told" 2>&1
}
scale_py --quick --only classes --most 300 --rounds 1 --out "$work/scale.md" || fail "$(cat "$work/told")"
grep -q '^| 2 | ' "$work/scale.md" || fail "the sweep has no row: $(cat "$work/scale.md")"
if command -v bzip2 >/dev/null; then
  scale_py --quick --only large --most 300 --rounds 1 --out "$work/large.md" || fail "$(cat "$work/told")"
  grep -q '^| bzip2 -dc | ' "$work/large.md" || fail "the large text has no row: $(cat "$work/large.md")"
  grep -q '"rows": 300,' "$work/large.json" || fail "--most does not bound the large text"
else
  ! scale_py --only large --most 300 || fail "large goes without bzip2"
  grep -q 'no bzip2' "$work/told" || fail "that bzip2 lacks is not told: $(cat "$work/told")"
fi
[ -z "$(ls "$work/texts")" ] || fail "texts were left behind: $(ls "$work/texts")"
mkdir "$work/texts/scale" && echo mine >"$work/texts/scale/notes"
! scale_py --quick --only classes --most 2 || fail "a folder that scale.py did not make is taken"
[ "$(cat "$work/texts/scale/notes")" = mine ] || fail "a folder that scale.py did not make is removed"
for wrong in '--threads 0' '--rounds 0' '--rounds -1' '--most 1e6'; do
  # shellcheck disable=SC2086  # two words
  ! scale_py $wrong || fail "$wrong is taken"
  grep -q 'is no whole number from 1' "$work/told" || fail "$wrong: $(cat "$work/told")"
done
