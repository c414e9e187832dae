#!/usr/bin/env bash
# Installs the build in $1 into a folder of its own, builds tests/consumer against it and runs it. $2: C compiler.
set -euo pipefail
source=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$1" --prefix "$work/prefix" >/dev/null
cmake -S "$source/consumer" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_C_COMPILER="$2" \
  -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$work/build" >/dev/null
"$work/build/consumer" "$work/model.safetensors"
"$work/prefix/bin/carousel" --version
test -s "$work/prefix/share/man/man1/carousel.1"
