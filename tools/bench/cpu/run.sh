#!/usr/bin/env bash
# Measures Carousel on the CPU beside PyTorch, Keras and onnxruntime: makes a virtual environment with them, builds, and
# writes a table and every round to tools/bench/results/.
#
#     tools/bench/cpu/run.sh [OPTION of compare.py...]        e.g. --only LSTM --threads 2
#
# BENCH_VENV names an environment that has requirements.txt already, or where to make it (build/bench-venv); BENCH_BUILD
# the build folder (build/bench). What it installs with pip takes about 8 GB, most of which PyTorch brings along for GPUs.
set -euo pipefail
cd "$(dirname "$0")/../../.."
unset OPENBLAS_CORETYPE # a user's choice of OpenBLAS kernels would be measured
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY-passive}

venv=${BENCH_VENV:-build/bench-venv}
build=${BENCH_BUILD:-build/bench}
if [ ! -x "$venv/bin/python" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --requirement tools/bench/cpu/requirements.txt
fi
cmake --preset release -B "$build" -DCRS_CUDA=OFF -DCRS_TESTS=OFF -DCRS_BENCHMARKS=ON >"$build.log" || {
  cat "$build.log" >&2
  exit 2
}
cmake --build "$build" --target bench_network >>"$build.log" || {
  cat "$build.log" >&2
  exit 2
}

results=tools/bench/results
mkdir -p "$results"
exec "$venv/bin/python" tools/bench/cpu/compare.py --program "$build/bench_network" \
  --out "$results/cpu-$(date -u +%Y-%m-%d).md" "$@"
