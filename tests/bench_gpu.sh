#!/usr/bin/env bash
# bench_cudnn in the build folder $1, with report.py: on an emulated GPU ($2 is EMULATED) Carousel's half is executed, plainly
# and as graphs, and what is made wrong is refused; with a real CUDA runtime, which is to see no GPU, it says so. Times nothing.
set -euo pipefail
build=$1 cuda=$2
report=$(dirname "$0")/../tools/bench/gpu/report.py
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  echo "bench_gpu.sh: $*" >&2
  exit 1
}

# Exit status of a run, its lines in $work/lines, its complaints in $work/errors.
status_of() {
  local code=0
  "$build/bench_cudnn" "$@" >"$work/lines" 2>"$work/errors" || code=$?
  echo $code
}

[ "$("$build/bench_cudnn" --list | wc -l)" -gt 20 ] || fail "the usual cases are not listed"
[ "$("$build/bench_cudnn" --list --full --only gru --only H=96 | wc -l)" -eq 144 ] || fail "not all cases of GRU 96"
[ "$(status_of --only nothing)" = 2 ] || fail "a word of no case is taken"
[ "$(status_of "lstm H=0")" = 2 ] || fail "a case of no units is taken"

[ "$(CUDA_VISIBLE_DEVICES='' CUHOST_DEVICES=0 status_of --quick)" = 2 ] || fail "without a GPU, the status is not 2"
grep -q 'no NVIDIA' "$work/errors" || fail "without a GPU, this is said: $(cat "$work/errors")"
[ "$cuda" = EMULATED ] || exit 0

options=(--rounds 2 --milliseconds 0)
cases=('lstm H=4 B=3 T=5 layers=2 directions=2 ragged' 'gru H=5 B=2 T=4' 'rnn H=3 B=2 T=3 layers=2 tf32')
[ "$(status_of "${options[@]}" --beside steps "${cases[@]}")" = 0 ] || fail "a run failed: $(cat "$work"/*)"
[ "$(grep -c '"reference": "cpu-double"' "$work/lines")" = 3 ] || fail "not every case was compared"
for mode in plain graph; do
  for side in Carousel 'Carousel steps'; do
    [ "$(grep -c "\"side\": \"$side\", \"mode\": \"$mode\"" "$work/lines")" = 3 ] || fail "no times of $side, $mode"
  done
done
python3 "$report" --out "$work/table.md" <"$work/lines" || fail "report.py refuses a run that is right"
grep -q '^| gru H=5 ' "$work/table.md" || fail "the table lacks a case"

for tensor in y dx dW dR db; do
  [ "$(status_of "${options[@]}" --falsify "Carousel:$tensor" "${cases[0]}")" = 1 ] || fail "a wrong $tensor passes"
  python3 "$report" <"$work/lines" >"$work/table.md" && fail "report.py passes a wrong $tensor"
  grep -q "refused: .*Carousel: $tensor differs by 5.00e-02" "$work/table.md" || fail "a wrong $tensor is not told"
done

[ "$(status_of "${options[@]}" --falsify Nobody:y "${cases[0]}")" = 2 ] || fail "a side that is not there is made wrong"

# As Carousel's side of peers.py.
printf 'case %s/numbers %s\nmeasure 0\n' "$work" "${cases[1]}" | "$build/bench_cudnn" --ask >"$work/lines"
grep -q '"plain": {"forward": [0-9.]*, "whole": [0-9.]*}, "graph": {' "$work/lines" || fail "no answer: $(cat "$work/lines")"
for name in len x dy W0 R0 b0 b_hh0 y dx dW0 dR0 db0 db_hh0; do
  grep -aq "$name \(float32\|int32\) [0-9]*$" "$work/numbers" ||
    fail "the numbers lack $name"
done
! echo "measure 0" | "$build/bench_cudnn" --ask >"$work/lines" 2>&1 || fail "a measurement without a case is taken"
