# The Python package on every interpreter of the machine; sourced by scripts/test.

# Tests that need no PyTorch and little time.
quick_python_tests=(
  test_analog.py test_arrays.py test_complex_matmul.py test_converters.py test_errors.py
  test_hardware_descriptions.py test_hardware_json.py test_hardware_presets.py
  test_hostile_arguments.py test_module.py test_optical_linear.py test_physics.py test_pickle.py
  test_quantizer.py test_rng.py test_weights.py)

# find_interpreter <minor>: the path of a python3.<minor> that runs, from PATH or from pyenv, whose
# stand-ins on PATH may lead nowhere.
find_interpreter() {
  local candidate
  for candidate in "$(command -v "python3.$1")" \
    "${PYENV_ROOT:-$HOME/.pyenv}/versions/3.$1".*/bin/"python3.$1"; do
    if "$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then
      echo "$candidate"
      return
    fi
  done
  return 1
}

# build_dispatch <log>: prints the path of lumina::dispatch, compiled once for all interpreters; in the tree
# of stage python, where there is one.
build_dispatch() {
  local dir=build/test/python/build
  if [[ ! -f $dir/CMakeCache.txt ]]; then
    dir=build/test/interpreters/dispatch
    cmake --preset release -B "$dir" -DLUMINA_BUILD_DISPATCH=ON -DLUMINA_BUILD_TESTS=OFF \
      -DLUMINA_BUILD_BENCHMARKS=OFF -DLUMINA_BUILD_EXAMPLES=OFF >>"$1" 2>&1 || return
  fi
  cmake --build "$dir" --target lumina_dispatch --parallel "$jobs" >>"$1" 2>&1 &&
    echo "$PWD/$dir/dispatch/liblumina_dispatch.a"
}

# make_wheel <interpreter> <liblumina_dispatch.a> <folder>: a wheel for it, in that folder.
make_wheel() {
  rm -rf "$3" && "$1" -m venv "$3/tools" &&
    "$3/tools/bin/pip" install --quiet --disable-pip-version-check scikit-build-core nanobind &&
    "$3/tools/bin/pip" wheel . --quiet --disable-pip-version-check --no-deps --no-build-isolation \
      --wheel-dir "$3/wheel" --config-settings build-dir="$3/build" \
      --config-settings cmake.define.LUMINA_DISPATCH_LIBRARY="$2"
}

# test_wheel <interpreter> <wheel> <folder> <junit file> <package...> -- <test...>: runs the tests in a new
# environment with the wheel and the packages.
test_wheel() {
  local interpreter=$1 wheel=$2 dir=$3 junit=$4 packages=()
  shift 4
  while [[ $1 != -- ]]; do packages+=("$1") && shift; done
  shift
  rm -rf "$dir" "$junit"
  "$interpreter" -m venv "$dir" &&
    "$dir/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}" "$wheel" || return
  "$dir/bin/python" -m pytest --quiet -p no:cacheprovider -rs --junit-xml "$junit" "$@" || true
  [[ -f $junit ]] && count "$junit"
}

skip() { echo "SKIPPED: $1" && skipped=$((skipped + 1)); }
fail() { echo "FAILED: $1" && failed=$((failed + 1)); }

# wheel_of_python_stage <minor>: that stage's wheel, if it has just made one for this Python.
wheel_of_python_stage() {
  local wheel
  wheel=$(echo "$PWD"/build/test/python/wheels/*-cp3"$1"-cp3"$1"-*.whl)
  [[ " ${selected[*]} " == *" python "* && -f $wheel ]] && echo "$wheel"
}

# One wheel of the stable interface for all from 3.12 on, one for each before.
interpreters_stage() {
  local dir="$PWD/build/test/interpreters" log="$PWD/build/test/interpreters.log" minor interpreter library
  local wheel stable_wheel=""
  mkdir -p "$dir" && : >"$log"
  if ! library=$(build_dispatch "$log"); then
    tail -n 40 "$log"
    fail "lumina::dispatch does not build; the whole log is $log"
    return
  fi
  for minor in 9 10 11 12 13 14; do
    if ! interpreter=$(find_interpreter "$minor"); then
      skip "there is no Python 3.$minor here"
    elif ((minor < 10)); then
      rm -rf "$dir/3.$minor" && "$interpreter" -m venv "$dir/3.$minor"
      "$dir/3.$minor/bin/pip" install --no-deps . >"$dir/3.$minor/pip.log" 2>&1 || true
      if grep -F "requires a different Python" "$dir/3.$minor/pip.log"; then
        passed=$((passed + 1))
        skip "Python 3.$minor, for which the package is not made, and pip says so"
      else
        fail "pip does not say that the package is not made for Python 3.$minor"
      fi
    elif wheel=$stable_wheel && [[ -n $wheel ]] || wheel=$(wheel_of_python_stage "$minor") ||
      make_wheel "$interpreter" "$library" "$dir/wheel-3.$minor" >>"$log" 2>&1; then
      wheel=${wheel:-$(echo "$dir/wheel-3.$minor"/wheel/*.whl)}
      if [[ $wheel == *-abi3-* ]]; then stable_wheel=$wheel; fi
      echo "Python 3.$minor: $(basename "$wheel")"
      test_wheel "$interpreter" "$wheel" "$dir/3.$minor" "$dir/3.$minor.xml" numpy pytest hypothesis -- \
        "${quick_python_tests[@]/#/python/tests/}" || fail "Python 3.$minor ran no tests"
    else
      tail -n 40 "$log"
      fail "the package does not build for Python 3.$minor; the whole log is $log"
    fi
  done
}

# All tests on the newest interpreter, with today's PyTorch and NumPy: a download of 6 GB.
torch2_stage() {
  local dir="$PWD/build/test/torch2" log="$PWD/build/test/torch2.log" minor interpreter="" library
  for minor in 13 12 11 10; do
    if interpreter=$(find_interpreter "$minor"); then break; fi
  done
  if [[ -z $interpreter ]]; then
    skip "there is no Python from 3.10 to 3.13 here"
    return
  fi
  mkdir -p "$dir" && : >"$log"
  if ! library=$(build_dispatch "$log") ||
    ! make_wheel "$interpreter" "$library" "$dir/wheel" >>"$log" 2>&1; then
    tail -n 40 "$log"
    fail "stage torch2 does not build; the whole log is $log"
    return
  fi
  test_wheel "$interpreter" "$(echo "$dir"/wheel/wheel/*.whl)" "$dir/venv" "$dir/pytest.xml" \
    torch 'numpy>=2' pytest hypothesis onnx onnxscript tqdm matplotlib -- python/tests || fail "stage torch2 ran no tests"
}
