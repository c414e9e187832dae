# The stages of gpu-check.sh, which reads this file: what is done in each, and the report. Not run by itself.
# shellcheck shell=bash disable=SC2154  # what is not assigned here comes from there

# From inside a stage: a word for the summary; text for the report, from standard input; and that there is nothing to do.
remark() { echo "$*" >"$work/remark"; }
detail() { cat >>"$work/detail"; }
left_out() { remark "$*" && exit 77; }

built() { [ -x "$build/$1" ] || { remark "$1 was not built" && exit 1; }; }

# Everything but the search for it fails without a GPU, which is said once.
need_gpu() { [ "$emulated" = 1 ] || [ -s "$work/gpu" ] || { remark "there is no GPU" && exit 1; }; }

# ---- what is needed ----

use_libraries() {
  [ -n "$libraries" ] || return 0
  local folder=$build/libraries
  tools/gpu-libraries.sh unpack "$libraries" "$folder" || exit 1
  # An rpath of the old kind, which holds for what the libraries load as well.
  export LDFLAGS="-Wl,--disable-new-dtags,-rpath,$folder/lib ${LDFLAGS:-}"
  export CMAKE_PREFIX_PATH=$folder${CMAKE_PREFIX_PATH:+:$CMAKE_PREFIX_PATH}
  export PKG_CONFIG_PATH=$folder/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
  command -v pkg-config >/dev/null || export PKG_CONFIG=$folder/bin/pkg-config
}

# The folder of the CUDA Toolkit, or nothing.
find_toolkit() {
  local folder
  for folder in "${CUDAToolkit_ROOT:-}" "${CUDA_PATH:-}" "${CUDA_HOME:-}" \
    "$(readlink -f "$(command -v nvcc)" | sed 's|/bin/nvcc$||')" /usr/local/cuda /usr/local/cuda-*; do
    if [ -n "$folder" ] && [ -x "$folder/bin/nvcc" ] && [ -e "$folder/include/cublas_v2.h" ]; then
      echo "$folder" && return
    fi
  done
}

has_header() {
  echo "#include <$1>" | c++ -x c++ -E ${libraries:+-I"$build/libraries/include"} - >/dev/null 2>&1
}

# At least CMake 3.25, as CMakeLists.txt asks for.
has_cmake() {
  local version
  version=$(cmake --version | awk 'NR == 1 { print $3 }')
  [ "$(printf '%s\n' 3.25 "$version" | sort -V | head -n 1)" = 3.25 ]
}

find_requirements() {
  local missing=() module
  need() { missing+=("$1 (package $2)"); }
  command -v cc >/dev/null || need "a C compiler" gcc
  command -v c++ >/dev/null || need "a C++ compiler" g++
  has_cmake || need "CMake 3.25 or later" cmake
  command -v ninja >/dev/null || command -v make >/dev/null || need "ninja or make" "ninja-build or make"
  command -v python3 >/dev/null || need python3 python3
  [ -n "$(find_toolkit)" ] || [ "$emulated" = 1 ] ||
    need "the CUDA Toolkit 12.0 or later with cuBLAS" "cuda-toolkit; or see tools/cuda-toolkit.sh"
  if command -v "${PKG_CONFIG:-pkg-config}" >/dev/null; then
    for module in libutf8proc libarchive jansson openblas; do
      "${PKG_CONFIG:-pkg-config}" --exists "$module" || need "$module" "lib${module#lib}-dev"
    done
  else
    need pkg-config pkg-config
    missing+=("then libutf8proc-dev libarchive-dev libjansson-dev libopenblas-dev, unless they are there")
  fi
  if command -v c++ >/dev/null; then
    has_header bzlib.h || need libbz2 libbz2-dev
    has_header csv.h || need libcsv libcsv-dev
    has_header gtest/gtest.h || need GoogleTest libgtest-dev
  fi
  [ ${#missing[@]} -gt 0 ] || return 0
  remark "missing: $(printf '%s; ' "${missing[@]}" | sed 's/; $//')"
  printf -- '- %s\n' "${missing[@]}" | detail
  printf '\nThe libraries can be brought along: --pack, --libraries.\n' | detail
  return 1
}

find_gpu() {
  if ! command -v nvidia-smi >/dev/null || ! nvidia-smi -L | grep -q GPU; then
    remark "there is no GPU, or no driver for it (nvidia-smi finds none)"
    return 1
  fi
  nvidia-smi --query-gpu=name,compute_cap,driver_version,memory.total,clocks.max.sm,clocks.max.mem \
    --format=csv,noheader >"$work/gpu"
  remark "$(head -n 1 "$work/gpu")"
}

# ---- the build ----

# 90 for compute capability 9.0. Without a GPU, the oldest, to show that it builds.
architecture() {
  local capability=75
  [ ! -s "$work/gpu" ] || capability=$(head -n 1 "$work/gpu" | cut -d , -f 2 | tr -d ' .')
  echo "$capability-real"
}

build_all() {
  local generator='Unix Makefiles' cuda=ON toolkit
  command -v ninja >/dev/null && generator=Ninja
  [ "$emulated" = 0 ] || cuda=EMULATED
  toolkit=$(find_toolkit)
  [ -z "$toolkit" ] || export CUDAToolkit_ROOT=$toolkit
  # What was found last time, perhaps elsewhere, is forgotten.
  cmake --fresh -S . -B "$build" -G "$generator" -DCMAKE_BUILD_TYPE=Release -DCRS_CUDA=$cuda -DCRS_REQUIRE_CUDA=ON \
    -DCRS_BENCHMARKS=ON -DCRS_TEST_TIMEOUT=$((60 * patience)) -DCMAKE_CUDA_ARCHITECTURES="$(architecture)"
  cmake --build "$build" -j "$(nproc)"
  remark "$generator$([ "$emulated" = 1 ] || echo ", $(architecture), $toolkit")"
}

# ---- the tests ----

# Says how many tests there were; names those that failed.
count_tests() {
  local file=$1 log=$2 kind words=()
  for kind in tests failures skipped; do
    words+=("$(grep -o "$kind=\"[0-9]*\"" "$file" | head -n 1 | tr -dc 0-9) $kind")
  done
  remark "$(printf '%s, ' "${words[@]}" | sed 's/, $//')"
  if grep -q 'The following tests' "$log"; then
    { echo '```' && sed -n '/The following tests/,$p' "$log" | cut -c 1-200 | head -n 60 && echo '```'; } | detail
  fi
}

# With CRS_REQUIRE_CUDA, a test that finds no GPU fails; one that is skipped for another reason is no proof either.
run_gpu_tests() {
  local code=0
  built tests/test_lstm
  need_gpu
  # They share the GPU's memory.
  ctest --test-dir "$build" -j "$(($(nproc) < 8 ? $(nproc) : 8))" --output-on-failure --no-tests=error \
    --output-junit "$work/gpu.xml" -L cuda 2>&1 | tee "$work/ctest.txt" || code=$?
  count_tests "$work/gpu.xml" "$work/ctest.txt"
  ! grep -q ', [1-9][0-9]* skipped' "$work/remark" || code=1
  return $code
}

# These have had their turn elsewhere: where time is short, those that were run count.
run_other_tests() {
  local code=0 limit=$((stage_limit - 4))
  built tests/test_lstm
  timeout "$limit" ctest --test-dir "$build" -j "$(nproc)" --output-on-failure --no-tests=error \
    --output-junit "$work/other.xml" -LE cuda 2>&1 | tee "$work/ctest.txt" || code=$?
  if [ "$code" != 124 ]; then
    count_tests "$work/other.xml" "$work/ctest.txt"
    return $code
  fi
  ! grep '\*\*\*' "$work/ctest.txt" || { remark "failures, and not done after $limit s" && return 1; }
  left_out "not done after $limit s; the $(grep -c ' Passed ' "$work/ctest.txt") tests that were run passed"
}

# A short list: every operation on PyTorch's numbers, which are small, and a network that has them all.
run_sanitizer() {
  local tool=$1 program code=0
  [ "$emulated" = 0 ] || left_out "of a real GPU only"
  built tests/test_fixtures
  need_gpu
  program=$(command -v compute-sanitizer || ls "$(find_toolkit)/bin/compute-sanitizer" 2>/dev/null) ||
    left_out "compute-sanitizer is not installed (package cuda-sanitizer)"
  # Not of cuBLAS' own business: what it asks an older driver for, and races that are none.
  local options=(--tool "$tool" --error-exitcode 9 --target-processes all)
  [ "$tool" != memcheck ] || options+=(--report-api-errors no)
  [ "$tool" != racecheck ] || options+=(--racecheck-detect-level error)
  "$program" "${options[@]}" "$build/tests/test_fixtures" --gtest_filter='*cuda*' || code=$?
  "$program" "${options[@]}" "$build/carousel" gradcheck \
    'embedding 5 | dropout 0.2 | bilstm 6 seq recurrent_dropout=0.2 | rnn 5 seq | max | dense 4 relu | dense' \
    --backends cuda --samples 1 --train 2 || code=$?
  remark "$(sed -n 's/^=* *\(.*SUMMARY.*\)/\1/p' "$work/compute-sanitizer-$tool.log" | sort -u | paste -s -d ';')"
  return $code
}

# ---- gradients ----

has_tf32() { [ "$emulated" = 1 ] || [ "$(architecture | tr -dc 0-9)" -ge 80 ]; } # from Ampere on

# A line and the backends it is checked on; the persistent kernels hold 64 units.
gradient_cases() {
  cat <<'END'
embedding 32 | lstm 32 seq | lstm 32 | dense;cuda,cuda=steps,cuda=persistent
embedding 5 | dropout 0.2 | bilstm 7 seq dropout=0.2 recurrent_dropout=0.3 | lstm 6 reverse | dense 1;cuda,cuda=steps
embedding 5 | rnn 6 seq recurrent_dropout=0.2 | birnn 5 seq relu sum | max | dense 4 relu | dense;cuda,cuda=steps,cuda=persistent
END
  [ "$quick" = 1 ] || cat <<'END'
embedding 6 | bilstm 33 seq sum | mean | dense 4 tanh | dense 3;cuda,cuda=steps,cuda=persistent
embedding 6 frozen | bilstm 64 | dense;cuda,cuda=steps,cuda=persistent
embedding 6 | bigru 33 seq recurrent_dropout=0.2 | gru 64 | dense;cuda,cuda=steps,cuda=persistent
embedding 6 | lstm 100 seq | last | dense 5 sigmoid | dense;cuda
embedding 6 | rnn 65 seq | rnn 9 reverse | dense;cuda
END
}

# Of every comparison with the oracle in gradcheck's tables, the worst tensor, as a row. A | in a line would end a cell.
worst_tensors() { # LINE PRECISION
  awk -v line="$1" -v precision="$2" '
    function tell() {
      if (name != "") printf "| %s | %s, %s | %s | %.1e | %s |\n", line, backend, precision, what, worst, name
    }
    BEGIN { gsub(/\|/, "\\|", line) }
    /^(gradient|training) of / { tell(); what = $1; backend = $3; worst = -1; name = "" }
    /^  layers/ && backend != "cpu-double" && $3 + 0 > worst { worst = $3 + 0; name = $1 }
    END { tell() }'
}

gradcheck() { # LINE OPTION...
  echo "-- $*"
  "$build/carousel" gradcheck "$1" --vocabulary 300 "${@:2}"
}

check_gradients() { # LINE PRECISION OPTION...
  local code=0
  gradcheck "$1" --samples 8 --precision "$2" "${@:3}" | tee "$work/gradcheck.txt" || code=1
  worst_tensors "$1" "$2" <"$work/gradcheck.txt" | detail
  return $code
}

run_gradient_checks() {
  local line backends count=0 bad=0
  built carousel
  need_gpu
  printf '%s\n' "A backend and double on the CPU, each time the tensor that is furthest off, in relative L2:" "" \
    "| network | backend | of | error | tensor |" "|---|---|---|---:|---|" | detail
  while IFS=';' read -r line backends; do
    count=$((count + 1))
    check_gradients "$line" float32 --backends "$backends" --train 20 || bad=$((bad + 1))
    ! has_tf32 || check_gradients "$line" tf32 --backends cuda || bad=$((bad + 1))
  done < <(gradient_cases)
  # The check itself must be able to fail.
  gradcheck 'embedding 5 | lstm 6 | dense' --samples 8 --backends cuda --inject layers.1.weight_hh_l0 2>&1 |
    tee "$work/gradcheck.txt" || true
  if ! grep -q 'failed the check of its gradient, first in layers.1.weight_hh_l0' "$work/gradcheck.txt"; then
    echo "a falsified gradient went unnoticed" && bad=$((bad + 1))
  fi
  remark "$count networks, and a falsified gradient; $bad checks failed"
  [ "$bad" = 0 ]
}

# ---- the benchmark ----

measure() { # PRECISION OPTION...
  local code=0 file=$work/benchmark-$1.md
  echo "-- $*"
  "$PYTHON" tools/bench/lstm.py --program "$build/bench_lstm" --backend cuda --markdown --precision "$@" >"$file" ||
    code=1
  # Times of an emulated GPU must not be taken for a real one's.
  printf '\n%s products:\n\n' "$1" | detail
  if [ "$emulated" = 1 ]; then grep '^- ' "$file"; else cat "$file"; fi | detail
  return $code
}

run_benchmark() {
  local code=0 options=()
  built bench_lstm
  need_gpu
  "$PYTHON" -c 'import torch' 2>/dev/null || left_out "$PYTHON has no torch"
  [ "$quick" = 0 ] || options+=(--quick)
  if [ "$emulated" = 1 ]; then
    options+=(--device cpu --steps 5 --rows 3 --units 4 --step-rows 3 --step-units 4 --vocabulary 20)
    options+=(--rounds 2 --repetitions 1 --milliseconds 0)
  fi
  [ "$stage_limit" -ge 70 ] || left_out "no time is left for it"
  measure float32 "${options[@]}" --seconds $((stage_limit - 45)) || code=1
  # PyTorch's own default, for comparison: the large batches.
  ! has_tf32 || measure tf32 --rows 128 "${options[@]}" --rounds 2 --seconds 15 || code=1
  remark "$(cat "$work"/benchmark-*.md | grep -Ec '^\| (layer|step)') rows," \
    "$(cat "$work"/benchmark-*.md | grep -c 'refused:') refused"
  return $code
}

# Tables of an emulated GPU would be taken for a real one's: what is said above them is told.
tell_tables() { if [ "$emulated" = 1 ]; then grep '^- ' || true; else sed 's/^#/##/'; fi | detail; }

# Why configure left it out is in the build's log.
need_bench_cudnn() {
  [ -x "$build/bench_cudnn" ] ||
    left_out "$(sed -n 's/^-- \(bench_cudnn: left out.*\)/\1/p' "$work/build.log" 2>/dev/null | head -n 1 | grep . ||
      echo 'bench_cudnn was not built')"
}

# bench_cudnn OPTION...: its lines, and the tables made of them.
layers() {
  local code=0 report=0
  "$build/bench_cudnn" "$@" >"$work/layers.jsonl" || code=$?
  "$PYTHON" tools/bench/gpu/report.py <"$work/layers.jsonl" >"$work/layers.md" || report=$?
  [ "$code" = 0 ] && [ "$report" = 0 ]
}

run_layers() {
  local code=0 options=(--seconds $((stage_limit - 20))) small='lstm H=4 B=3 T=5 layers=2 directions=2 ragged'
  need_gpu
  need_bench_cudnn
  [ "$quick" = 0 ] || options+=(--quick)
  [ "$emulated" = 0 ] || options=(--rounds 2 --milliseconds 0 --beside steps "$small" 'gru H=4 B=3 T=5' 'rnn H=3 B=2 T=4')
  layers "${options[@]}" || code=1
  tell_tables <"$work/layers.md"
  remark "$(grep -c '"case"' "$work/layers.jsonl") cases, $(grep -c 'refused:' "$work/layers.md") refused"
  # The comparison itself must be able to fail.
  if layers --rounds 1 --milliseconds 0 --falsify Carousel:dR "$small" ||
    ! grep -q 'refused:.*Carousel: dR differs' "$work/layers.md"; then
    echo "a falsified gradient went unnoticed" && code=1
  fi
  return $code
}

run_peers() {
  local code=0 peers=() missing=() name layers=(--extent quick --rounds 3) networks=(--rounds 3)
  need_gpu
  need_bench_cudnn
  for name in torch jax; do
    if "$PYTHON" -c "import $name" 2>/dev/null; then peers+=("$name"); else missing+=("$name"); fi
  done
  [ ${#peers[@]} -gt 0 ] || left_out "$PYTHON has neither torch nor jax"
  if [ "$emulated" = 1 ]; then
    layers=(--device cpu --rounds 1 --milliseconds 0 'lstm H=4 B=3 T=5 ragged' 'gru H=4 B=2 T=3')
    networks=(--device cpu --rounds 1 --milliseconds 0 --length 6 --rows 2 --vocabulary 20 --only 'LSTM, ragged')
  fi
  "$PYTHON" tools/bench/gpu/peers.py --program "$build/bench_cudnn" --peers "${peers[@]}" \
    --seconds $((stage_limit / 2)) --out "$work/peers.md" "${layers[@]}" || code=1
  tell_tables <"$work/peers.md"
  if [[ " ${peers[*]} " = *" torch "* ]]; then
    "$PYTHON" tools/bench/gpu/networks.py --program "$build/bench_network" --out "$work/networks.md" \
      "${networks[@]}" || code=1
    tell_tables <"$work/networks.md"
  fi
  remark "beside ${peers[*]}${missing:+; not found: ${missing[*]}};" \
    "$(cat "$work/peers.md" "$work/networks.md" 2>/dev/null | grep -c 'refused:') refused"
  return $code
}

# ---- the report ----

describe_machine() {
  local toolkit
  toolkit=$(find_toolkit)
  if [ "$emulated" = 1 ]; then
    echo "- **The GPU was emulated on the CPU: nothing here says anything of a real one.**"
  elif [ -s "$work/gpu" ]; then
    sed 's/^/- GPU (name, compute capability, driver, memory, clocks): /' "$work/gpu"
  else
    echo "- no GPU"
  fi
  echo "- $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) processors, $(uname -sr)"
  [ -z "$toolkit" ] || echo "- $("$toolkit/bin/nvcc" --version | grep release), in $toolkit"
  echo "- $(c++ --version | head -n 1); $(cmake --version | head -n 1)"
  if git rev-parse HEAD >/dev/null 2>&1; then
    echo "- commit $(git rev-parse HEAD)$([ -z "$(git status --porcelain)" ] || echo ', with changes'), $date"
  else
    echo "- commit unknown, since this is no git checkout, $date"
  fi
}

write_report() {
  local name="no GPU"
  [ ! -s "$work/gpu" ] || name=$(head -n 1 "$work/gpu" | cut -d , -f 1)
  if [ -z "$out" ] && [ -s "$work/gpu" ]; then
    out=$PWD/tools/bench/results/$(echo "$name" | tr 'A-Z ' 'a-z-' | tr -dc 'a-z0-9-')-$date.md
  fi
  out=${out:-$work/report.md}
  mkdir -p "$(dirname "$out")"
  {
    echo "# GPU check: $([ "$emulated" = 1 ] && echo "an emulated GPU" || echo "$name"), $date"
    echo
    echo "$([ "$failures" = 0 ] && echo Passed || echo "**FAILED**: $failures stages"), in $SECONDS s;" \
      "$(grep -c '| left out |' "$work/summary") stages left out."
    printf '\n| stage | result | seconds | |\n|---|---|---:|---|\n'
    cat "$work/summary"
    printf '\n## Machine\n\n'
    describe_machine
    cat "$work/details"
  } >"$out"
  echo "== $([ "$failures" = 0 ] && echo passed || echo "FAILED: $failures stages"); the report: $out"
}
