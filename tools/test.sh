#!/usr/bin/env bash
# Passes the tests from a bare checkout: installs what is missing, builds every test build and runs all tests in each.
# Usage: tools/test.sh [PRESET ...]    default: style asan tsan clang release
set -euo pipefail
cd "$(dirname "$0")/.."

tools/packages.sh test
presets=("$@")
[ ${#presets[@]} -gt 0 ] || presets=(style asan tsan clang release)

style() {
  # clang-format's output differs between versions, so only the one the sources were formatted with can judge them.
  if clang-format --version | grep -q 'version 14\.'; then
    git ls-files -z '*.c' '*.h' '*.cpp' '*.hpp' | xargs -0 clang-format --dry-run -Werror
  else
    echo "style: formatting is not checked, since clang-format here is not version 14"
  fi
  cmake --preset clang >/dev/null
  git ls-files -z '*.c' | xargs -0 -n 1 -P "$(nproc)" clang-tidy --quiet -p build/clang
}

for preset in "${presets[@]}"; do
  echo "== $preset"
  if [ "$preset" = style ]; then
    style
  else
    cmake --preset "$preset"
    cmake --build --preset "$preset"
    ctest --preset "$preset" -j "$(nproc)"
  fi
done
