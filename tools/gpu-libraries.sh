#!/usr/bin/env bash
# Carries the libraries that Carousel is built and tested with to a machine that lacks them and cannot fetch them.
#
#   tools/gpu-libraries.sh pack FILE.tar.xz           here: Debian or Ubuntu, after tools/packages.sh test
#   tools/gpu-libraries.sh unpack FILE.tar.xz FOLDER  there: any Linux of the same processor, with a C library as new
#
# The archive has headers, shared libraries with all that they load (but what comes with every compiler), GoogleTest's
# archives and pkg-config, in include/, lib/ and bin/ of a folder that may lie anywhere. A build finds them by
# CMAKE_PREFIX_PATH, PKG_CONFIG_PATH (and PKG_CONFIG) and an rpath: see use_libraries in gpu-check.sh.
set -euo pipefail

modules=(libutf8proc libarchive jansson openblas)
libraries=(utf8proc archive bz2 jansson openblas csv)
header_packages=(libutf8proc-dev libarchive-dev libbz2-dev libcsv-dev libjansson-dev libgtest-dev)
most_bytes=$((40 << 20))

stop() { echo "gpu-libraries.sh: $*" >&2 && exit 1; }

# The libraries that a program loads, as NAME PATH, without those that belong to the compiler and the C library.
loaded_by() {
  ldd "$1" | awk '$2 == "=>" && $3 ~ /^\// { print $1, $3 }' |
    grep -Ev '^(libc|libm|libdl|librt|libpthread|libresolv|libstdc\+\+|libgcc_s|libgomp|ld-linux[^ ]*)\.so'
}

pack_headers() {
  local package header inside
  for package in "${header_packages[@]}"; do
    dpkg -L "$package" | grep '^/usr/include/.*\.h$' | while read -r header; do
      inside=${header#/usr/include/}
      inside=${inside#*-linux-gnu/}
      install -D -m 644 "$header" "$folder/include/$inside"
    done
  done
  # Several builds of OpenBLAS may be installed; this is the one in use.
  cp -L "$(pkg-config --variable=includedir openblas)"/*.h "$folder/include/"
}

pack_libraries() {
  local name path library
  mkdir -p "$folder/lib"
  echo 'int main(void) { return 0; }' |
    cc -x c -o "$folder/program" - -Wl,--no-as-needed "${libraries[@]/#/-l}" || stop "a library cannot be linked"
  loaded_by "$folder/program" | while read -r name path; do cp -L "$path" "$folder/lib/$name"; done
  rm "$folder/program"
  for library in "${libraries[@]}"; do
    name=$(cd "$folder/lib" && ls "lib$library.so."*)
    ln -s "$name" "$folder/lib/lib$library.so"
  done
  for library in gtest gtest_main; do
    path=$(cc -print-file-name="lib$library.a")
    [ -e "$path" ] || stop "lib$library.a is missing; run tools/packages.sh test"
    cp -L "$path" "$folder/lib/"
  done
}

# Written anew rather than copied, so that they hold wherever the folder lies.
pack_modules() {
  local module
  mkdir -p "$folder/lib/pkgconfig"
  for module in "${modules[@]}"; do
    cat >"$folder/lib/pkgconfig/$module.pc" <<END
prefix=\${pcfiledir}/../..
Name: $module
Description: packed by gpu-libraries.sh
Version: $(pkg-config --modversion "$module")
Cflags: -I\${prefix}/include $(pkg-config --cflags-only-other "$module")
Libs: -L\${prefix}/lib $(pkg-config --libs-only-l "$module")
END
  done
}

pack_pkg_config() {
  local name path
  mkdir -p "$folder/bin"
  path=$(command -v pkg-config)
  cp -L "$path" "$folder/bin/pkg-config.program"
  loaded_by "$path" | while read -r name path; do cp -L "$path" "$folder/lib/$name"; done
  cat >"$folder/bin/pkg-config" <<'END'
#!/bin/sh
folder=$(cd "$(dirname "$0")/.." && pwd)
LD_LIBRARY_PATH=$folder/lib exec "$folder/bin/pkg-config.program" "$@"
END
  chmod +x "$folder/bin/pkg-config"
}

pack() {
  local file=$1 package bytes
  command -v dpkg >/dev/null || stop "packing needs Debian or Ubuntu"
  for package in "${header_packages[@]}" libopenblas-dev pkg-config xz-utils; do
    dpkg -s "$package" >/dev/null 2>&1 || stop "$package is not installed; run tools/packages.sh test"
  done
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  pack_headers
  pack_libraries
  pack_modules
  pack_pkg_config
  # Written beside and renamed, so that a failure leaves no half an archive.
  tar -C "$folder" --owner=0 --group=0 --sort=name -cJf "$file.part" .
  bytes=$(stat -c %s "$file.part")
  if [ "$bytes" -gt "$most_bytes" ]; then
    rm "$file.part"
    stop "$bytes bytes are more than $most_bytes: some library brings much with it"
  fi
  mv "$file.part" "$file"
  echo "$file: $((bytes >> 10)) KiB, $(find "$folder" -type f | wc -l) files"
}

unpack() {
  local file=$1 folder=$2
  [ -r "$file" ] || stop "$file cannot be read"
  rm -rf "$folder"
  mkdir -p "$folder"
  # tar needs xz for this; Python has its own.
  if command -v xz >/dev/null; then
    tar -C "$folder" -xJf "$file"
  else
    python3 -m tarfile -e "$file" "$folder"
  fi
  [ -e "$folder/lib/pkgconfig/openblas.pc" ] || stop "$file was not written by gpu-libraries.sh pack"
}

case "${1:-} $#" in
"pack 2") pack "$2" ;;
"unpack 3") unpack "$2" "$3" ;;
*) echo "usage: tools/gpu-libraries.sh pack FILE.tar.xz | unpack FILE.tar.xz FOLDER" >&2 && exit 2 ;;
esac
