# The stages cuda and gpu of scripts/test, and what scripts/bench --gpu shares with them; sourced, not run.

# find_nvcc: prints where a CUDA compiler is: on the PATH, where NVIDIA's installer puts it, or brought from PyPI.
# Fails where there is none.
find_nvcc() {
  local tools="$PWD/build/cuda_tools" nvcc
  if command -v nvcc; then return 0; fi
  if [[ -x /usr/local/cuda/bin/nvcc ]]; then
    echo /usr/local/cuda/bin/nvcc
    return 0
  fi
  shopt -s nullglob
  local found=("$tools"/lib/python3*/site-packages/nvidia/cu13/bin/nvcc)
  if ((${#found[@]} == 0)); then
    # All of one series: its parts read each other's files.
    if ! "$python" -m venv "$tools" >&2 ||
      ! "$tools/bin/pip" install --quiet --disable-pip-version-check nvidia-cuda-nvcc==13.0.* \
        nvidia-cuda-crt==13.0.* nvidia-nvvm==13.0.* nvidia-cuda-runtime==13.0.* nvidia-cuda-cccl==13.0.* >&2; then
      return 1
    fi
    found=("$tools"/lib/python3*/site-packages/nvidia/cu13/bin/nvcc)
  fi
  shopt -u nullglob
  nvcc=${found[0]:-}
  [[ -n $nvcc ]] && echo "$nvcc"
}

has_gpu() { command -v nvidia-smi >/dev/null && nvidia-smi --list-gpus 2>/dev/null | grep -q GPU; }

# Everything of lumina::cuda that needs no GPU: kernels on the emulated one, compiled for the real ones.
cuda_stage() {
  local nvcc targets=cuda_tests compiler=()
  if nvcc=$(find_nvcc); then
    compiler=("-DCMAKE_CUDA_COMPILER=$nvcc")
    targets+=' cuda_fused cuda_user_stage cuda_graph'
  else
    echo "SKIPPED: there is no CUDA compiler, so nothing is compiled for GPUs"
    skipped=$((skipped + 1))
  fi
  stage cuda release "$targets" cuda -DLUMINA_BUILD_CUDA=ON -DLUMINA_BUILD_BENCHMARKS=OFF -DLUMINA_TEST_ISAS= \
    "${compiler[@]}"
}

# What needs a GPU. Its programs are built where there is a CUDA compiler, GPU or not; for a machine that lacks what
# it takes to build them, LUMINA_GPU_PROGRAMS names a folder with those of another one (build/test/gpu/bin).
gpu_stage() {
  local dir=build/test/gpu log=build/test/gpu.log bin=${LUMINA_GPU_PROGRAMS:-} nvcc program tool begin=$SECONDS
  local tests=(cuda_gpu_tests_90 cuda_gpu_tests_80 cuda_fast_math cuda_every_root cuda_fused cuda_user_stage cuda_graph)
  if [[ -z $bin ]]; then
    bin=$dir/bin
    mkdir -p build/test
    if ! nvcc=$(find_nvcc); then
      echo "SKIPPED: there is no CUDA compiler"
      skipped=$((skipped + 1))
      return
    fi
    if ! cmake --preset release -B "$dir" -DLUMINA_BUILD_CUDA=ON -DLUMINA_TEST_ISAS= \
      "-DCMAKE_CUDA_COMPILER=$nvcc" >"$log" 2>&1 ||
      ! cmake --build "$dir" --target "${tests[@]}" bench_cuda --parallel "$jobs" >>"$log" 2>&1; then
      tail -n 60 "$log"
      echo "FAILED: stage gpu does not build; the whole log is $log"
      failed=$((failed + 1))
      return
    fi
    echo "built in $((SECONDS - begin)) s"
  fi
  if ! has_gpu; then
    echo "SKIPPED: there is no GPU; the programs for one are in $bin"
    skipped=$((skipped + 1))
    return
  fi
  nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
  for program in "${tests[@]}"; do gpu_check 120 "$bin/$program"; done
  for tool in memcheck racecheck; do
    if command -v compute-sanitizer >/dev/null; then
      gpu_check 120 compute-sanitizer --tool "$tool" --error-exitcode 1 "$bin/cuda_gpu_tests_90" "[small]"
    else
      echo "SKIPPED: there is no compute-sanitizer"
      skipped=$((skipped + 1))
    fi
  done
}

# gpu_check <seconds> <command>...: one test more.
gpu_check() {
  echo "--- ${*:2}"
  if timeout "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}
