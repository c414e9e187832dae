#!/usr/bin/env bash
# Shows on a machine with an NVIDIA GPU, in under 8 minutes, whether the CUDA backend is right there and how fast it
# is: builds it, runs every test on the GPU, NVIDIA's compute-sanitizer over some of them, gradient checks against the
# CPU in double, and the benchmarks beside cuDNN and PyTorch where they are found. Writes one report, whatever fails on the way;
# the exit status is 1 if anything did.
#
#   tools/gpu-check.sh [--quick] [--libraries FILE] [--out FILE]
#     --quick           fewer sanitizers and gradient checks, a short benchmark, no tests but those of the GPU
#     --libraries FILE  take the libraries from FILE rather than from the system
#     --out FILE        the report; else tools/bench/results/<gpu>-<date>.md, or build/gpu/check/report.md without a GPU
#     --patience N      N times as long for every stage, on a slow machine
#     --emulated        try this script itself where no GPU is: the GPU emulated by tests/cuhost, slowly, and no
#                       figures of speed that would mean anything; in build/gpu-emulated, with a patience of 8
#   tools/gpu-check.sh --pack FILE.tar.xz
#     on Debian or Ubuntu with the packages of tools/packages.sh test: gathers what --libraries needs, for a machine
#     that has compilers and the CUDA Toolkit but no network
#
# Nothing is installed: what is needed and missing is said, in one list. PYTHON chooses the Python of the benchmark.
set -euo pipefail
cd "$(dirname "$0")/.."

stop() { echo "gpu-check.sh: $*" >&2 && exit 2; }

quick=0 emulated=0 patience='' libraries='' out=''
while [ $# -gt 0 ]; do
  case $1 in
  --quick) quick=1 ;;
  --emulated) emulated=1 ;;
  --libraries | --out | --pack | --patience)
    [ $# -gt 1 ] || stop "$1 needs a value"
    case $1 in
    --libraries) libraries=$(realpath "$2") ;;
    --out) out=$(realpath -m "$2") ;;
    --pack) exec tools/gpu-libraries.sh pack "$2" ;;
    --patience)
      [[ $2 =~ ^[1-9][0-9]?$ ]] || stop "--patience '$2' does not fit; give a whole number from 1 to 99"
      patience=$2
      ;;
    esac
    shift
    ;;
  *) sed -n '2,/^set /s/^# \{0,1\}//p' "$0" && exit 2 ;;
  esac
  shift
done

build=$PWD/build/gpu
if [ "$emulated" = 1 ]; then build=$PWD/build/gpu-emulated patience=${patience:-8}; fi
patience=${patience:-1}
deadline=$((470 * patience)) # seconds
work=$build/check
mkdir -p "$work"
rm -f "$work"/*
date=$(date +%Y-%m-%d)
export quick emulated patience libraries out build work date PYTHON="${PYTHON:-python3}"
# As the command does for itself; and nobody's choice of OpenBLAS kernels is to be tested.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
unset OPENBLAS_CORETYPE

# ---- running stages ----

failures=0
# stage TITLE SECONDS FUNCTION [ARGUMENT...]: in a shell of its own, so that no failure stops the others.
stage() {
  local title=$1 limit=$(($2 * patience)) begin=$SECONDS code=0 result log
  shift 2
  log=$work/${title//[^A-Za-z0-9]/-}.log
  [ $((deadline - SECONDS)) -ge "$limit" ] || limit=$((deadline - SECONDS))
  rm -f "$work/remark" "$work/detail"
  echo "== $title"
  if [ "$limit" -lt 5 ]; then
    code=124 limit=0
  else
    export stage_limit=$limit
    timeout -k 5 "$limit" bash -c 'set -euo pipefail; "$@"' stage "$@" >"$log" 2>&1 </dev/null || code=$?
  fi
  case $code in
  0) result=passed ;;
  77) result='left out' ;;
  124 | 137) result="**FAILED**: not done after $limit s" ;;
  *) result="**FAILED**" ;;
  esac
  [[ $result != *FAILED* ]] || failures=$((failures + 1))
  echo "   $result in $((SECONDS - begin)) s. $(cat "$work/remark" 2>/dev/null)"
  echo "| $title | $result | $((SECONDS - begin)) | $(cat "$work/remark" 2>/dev/null) |" >>"$work/summary"
  {
    [ ! -s "$work/detail" ] || printf '\n## %s\n\n%s\n' "$title" "$(cat "$work/detail")"
    if [[ $result == *FAILED* ]] && [ -s "$log" ]; then
      # shellcheck disable=SC2016
      printf '\n### %s: the end of its output\n\n```\n%s\n```\n' "$title" "$(tail -n 40 "$log" | cut -c 1-300)"
    fi
  } >>"$work/details"
}

# shellcheck source=tools/gpu-stages.sh
. tools/gpu-stages.sh
use_libraries
# shellcheck disable=SC2046  # names of functions are words
export -f $(compgen -A function)

stage requirements 20 find_requirements
[ "$emulated" = 1 ] || stage GPU 20 find_gpu
stage build 180 build_all
stage 'tests on the GPU' 150 run_gpu_tests
sanitizers=(memcheck racecheck initcheck synccheck)
[ "$quick" = 0 ] || sanitizers=(memcheck racecheck)
for tool in "${sanitizers[@]}"; do
  stage "compute-sanitizer $tool" 40 run_sanitizer "$tool"
done
stage 'gradient checks' 60 run_gradient_checks
stage benchmark 120 run_benchmark
stage 'layers beside cuDNN' 70 run_layers
stage 'layers and networks beside PyTorch and JAX' 80 run_peers
[ "$quick" = 1 ] || stage 'other tests' 90 run_other_tests
write_report
[ "$failures" = 0 ]
