#!/usr/bin/env bash
# Prints the folder of a CUDA Toolkit to build with. Where none is found, installs NVIDIA's own packages from PyPI into
# build/cuda-toolkit first (nvcc, runtime and cuBLAS: 840 MB), since Debian has none. Needs no GPU and no driver.
# Usage: tools/cuda-toolkit.sh
set -euo pipefail
cd "$(dirname "$0")/.."

# Compiler and runtime must be of one release.
packages=(nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-runtime==13.0.96
  nvidia-cuda-cccl==13.0.85 nvidia-cublas==13.1.0.3)

is_toolkit() { [ -x "$1/bin/nvcc" ] && [ -e "$1/include/cublas_v2.h" ]; }

for folder in "${CUDAToolkit_ROOT:-}" "${CUDA_PATH:-}" "${CUDA_HOME:-}" "$(command -v nvcc 2>/dev/null | sed 's|/bin/nvcc$||')" \
  /usr/local/cuda; do
  if [ -n "$folder" ] && is_toolkit "$folder"; then
    echo "$folder"
    exit 0
  fi
done

target=$PWD/build/cuda-toolkit
toolkit=$target/nvidia/cu13
if ! is_toolkit "$toolkit"; then
  echo "Installing the CUDA Toolkit from PyPI into build/cuda-toolkit: ${packages[*]}" >&2
  rm -rf "$target"
  python3 -m pip install --quiet --no-deps --target "$target" "${packages[@]}" >&2
  # The packages have the libraries as programs load them; linking wants the names without a version.
  ln -s lib "$toolkit/lib64"
  for library in "$toolkit"/lib/*.so.*; do
    ln -s "$(basename "$library")" "${library%.so.*}.so"
  done
  is_toolkit "$toolkit" || { echo "cuda-toolkit.sh: the packages from PyPI have no nvcc or no cuBLAS in $toolkit" >&2; exit 1; }
fi
echo "$toolkit"
