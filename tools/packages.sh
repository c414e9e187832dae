#!/usr/bin/env bash
# Installs what Carousel is built from, on Debian 12 or Ubuntu 24.04 and later. Usage: tools/packages.sh build|test
# Says what it installs and does nothing where nothing is missing.
set -euo pipefail

packages=(cmake ninja-build gcc libc6-dev pkg-config libopenblas-dev libutf8proc-dev libarchive-dev libbz2-dev libcsv-dev libjansson-dev libinih-dev
  gnuplot-nox fonts-dejavu-core)
case ${1:-} in
build | test) ;;
*) echo "usage: tools/packages.sh build|test" >&2 && exit 2 ;;
esac
if [ "$1" = test ]; then
  packages+=(g++ git clang clang-format clang-tidy libclang-rt-dev libomp-dev libgtest-dev python3 python3-pip gcovr man-db)
fi

if ! command -v dpkg-query >/dev/null; then
  echo "packages.sh: this is not Debian or Ubuntu; install the equivalents of: ${packages[*]}" >&2
  exit 1
fi
missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "packages.sh: need root or sudo to install: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
echo "Installing: ${missing[*]}"
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
