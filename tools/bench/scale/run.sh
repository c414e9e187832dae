#!/usr/bin/env bash
# Measures time and memory against rows, length, vocabulary and classes, and the way of 3.6 million rows from .bz2 to a
# cache: builds, writes the texts, and leaves tables, a picture and every figure in tools/bench/results/.
#
#     tools/bench/scale/run.sh [OPTION of scale.py...]        e.g. --quick, or --only classes
#
# BENCH_BUILD names the build folder (build/bench). The texts need 4 GB there, which are given back at the end,
# also after a failure.
set -euo pipefail
cd "$(dirname "$0")/../../.."

build=${BENCH_BUILD:-build/bench}
mkdir -p "$build"
{
  cmake --preset release -B "$build" -DCRS_CUDA=OFF -DCRS_TESTS=OFF -DCRS_BENCHMARKS=ON &&
    cmake --build "$build" --target carousel_command generate_reviews bench_scale bench_network
} >"$build.log" 2>&1 || {
  cat "$build.log" >&2
  exit 2
}
results=tools/bench/results
mkdir -p "$results"
exec python3 tools/bench/scale/scale.py --build "$build" --out "$results/scale-$(date -u +%Y-%m-%d).md" "$@"
