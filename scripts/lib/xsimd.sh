# Sourced by scripts/test: the library with each series of xsimd.

# The series that the package pythran carries, by its version there. Debian's, 8.1, is the one of all other
# stages. (No package has 9, whose interface is that of 8.1 and 10.)
xsimd_series=("10 0.12.1" "11 0.13.1" "12 0.15.0" "13 0.17.0" "14 0.19.0")

# fetch_xsimd <version of pythran> <folder>: its xsimd, as a folder of headers.
fetch_xsimd() {
  [[ -f $2/xsimd/xsimd.hpp ]] && return
  rm -rf "$2" "$2.wheel" && mkdir -p "$2" &&
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
      --dest "$2.wheel" "pythran==$1" &&
    python3 -m zipfile -e "$2.wheel"/pythran-*.whl "$2.wheel" &&
    mv "$2.wheel/pythran/xsimd" "$2/xsimd" && rm -rf "$2.wheel"
}

# xsimd_check <name> <folder of headers> <flag>...: compiles every public template, and runs
# the few calls where the machine has the instructions.
xsimd_check() {
  local name=$1 program="build/test/xsimd/$1" headers=$2
  shift 2
  local compile=(g++ -std=c++20 -O0 -Wall -Wextra -Werror "$@" -I include -isystem "$headers")
  if "${compile[@]}" -fsyntax-only tests/consumer/everything.cpp &&
    "${compile[@]}" tests/consumer/few_calls.cpp -o "$program" &&
    { [[ $name == *avx512 ]] && ! grep -qw avx512bw /proc/cpuinfo || "$program"; }; then
    echo passed >"$program.result"
  else
    echo failed >"$program.result"
  fi >"$program.log" 2>&1
}

# Adds to passed, failed and skipped. Vectors of 512 bits are for the oldest and the newest series: each of
# these builds takes a minute.
xsimd_stage() {
  local avx2=(-mavx2 -mfma)
  local avx512=(-mavx512f -mavx512cd -mavx512dq -mavx512bw -mavx512vl -mfma)
  local series version names=() name headers begin=$SECONDS
  mkdir -p build/test/xsimd
  rm -f build/test/xsimd/*.{log,result}
  for series in "${xsimd_series[@]}"; do
    read -r series version <<<"$series"
    headers=build/test/xsimd/headers-$series
    if ! fetch_xsimd "$version" "$headers"; then
      echo "SKIPPED: xsimd $series could not be fetched from PyPI"
      skipped=$((skipped + 1))
      continue
    fi
    names+=("xsimd-$series-avx2")
    xsimd_check "xsimd-$series-avx2" "$headers" "${avx2[@]}" &
    if [[ $series == 10 || $series == 14 ]]; then
      names+=("xsimd-$series-avx512")
      xsimd_check "xsimd-$series-avx512" "$headers" "${avx512[@]}" &
    fi
    while (($(jobs -rp | wc -l) >= jobs)); do wait -n || true; done
  done
  wait
  for name in "${names[@]}"; do
    if [[ $(<"build/test/xsimd/$name.result") == passed ]]; then
      passed=$((passed + 1))
    else
      cat "build/test/xsimd/$name.log"
      echo "FAILED: $name"
      failed=$((failed + 1))
    fi
  done
  echo "${#names[@]} builds in $((SECONDS - begin)) s"
}
