#!/usr/bin/env bash
# Passes the tests from a bare checkout: installs what is missing, builds every test build and runs all tests in each.
# Usage: tools/test.sh [PRESET ...]    default: style emulated asan tsan clang cuda
set -euo pipefail
cd "$(dirname "$0")/.."

tools/packages.sh test
CUDAToolkit_ROOT=$(tools/cuda-toolkit.sh)
export CUDAToolkit_ROOT
presets=("$@")
[ ${#presets[@]} -gt 0 ] || presets=(style emulated asan tsan clang cuda)

style() {
  # clang-format's output differs between versions, so only the one the sources were formatted with can judge them.
  if clang-format --version | grep -q 'version 14\.'; then
    git ls-files -z '*.c' '*.h' '*.cpp' '*.hpp' '*.cu' '*.cuh' | xargs -0 clang-format --dry-run -Werror
  else
    echo "style: formatting is not checked, since clang-format here is not version 14"
  fi
  cmake --preset clang >/dev/null
  git ls-files -z '*.c' | xargs -0 -n 1 -P "$(nproc)" clang-tidy --quiet -p build/clang
}

# Which lines of the CUDA backend the tests executed. Exceptions are marked where they stand (GCOV_EXCL_LINE), with why.
coverage() {
  gcovr --root . --filter cuda/ --fail-under-line 100 --print-summary build/emulated
}

for preset in "${presets[@]}"; do
  echo "== $preset"
  if [ "$preset" = style ]; then
    style
  else
    cmake --preset "$preset"
    cmake --build --preset "$preset"
    ctest --preset "$preset" -j "$(nproc)"
    [ "$preset" != emulated ] || coverage
  fi
done
