# The instruction sets: the one list of them. Unit tests, lumina::dispatch, the presets, the benchmarks, the
# program of mixed instruction sets, scripts/test and scripts/bench are made from it (LuminaIsas.cmake,
# which also says what a row means; docs/adding-an-isa.md). Of two that a machine has the later row is the better one.

lumina_isa(scalar FAMILY any FLAGS -DLUMINA_NO_XSIMD
  STAGES noexcept=numbers aarch64)

# --- x86-64 ------------------------------------------------------------------------------------------

lumina_isa(avx2 FAMILY x86_64 FLAGS -mavx2 -mfma
  RUNS vex256 LACKED_BY -cpu Nehalem
  STAGES asan gcc=samples clang=products BENCHMARKS floats codes)
lumina_isa(avx_vnni FAMILY x86_64 EXTENDS avx2 FOR codes FLAGS -mavxvnni
  RUNS vex256 dot_products LACKED_BY -cpu Nehalem
  STAGES gcc BENCHMARKS codes)
lumina_isa(avx512 FAMILY x86_64 FLAGS -mavx512f -mavx512cd -mavx512dq -mavx512bw -mavx512vl -mfma
  RUNS evex512 LACKED_BY -cpu Nehalem
  STAGES gcc BENCHMARKS floats)
lumina_isa(avx512_vnni FAMILY x86_64 EXTENDS avx512 FOR codes FLAGS -mavx512vnni
  RUNS evex512 dot_products LACKED_BY -cpu Nehalem
  BENCHMARKS codes)
lumina_isa(amx FAMILY x86_64 EXTENDS avx512_vnni FOR codes FLAGS -mamx-tile -mamx-int8 FALLS_BACK
  RUNS evex512 tiles LACKED_BY -cpu Nehalem
  STAGES gcc clang BENCHMARKS codes)

# --- 64-bit Arm --------------------------------------------------------------------------------------

lumina_isa(neon FAMILY aarch64 BASELINE
  STAGES aarch64=codes)
lumina_isa(neon_dotprod FAMILY aarch64 EXTENDS neon FOR codes FLAGS -march=armv8.2-a+dotprod
  LACKED_BY -cpu cortex-a53
  STAGES aarch64=products)
# Compiled for one vector length, and right on machines of that length only. (g++ 12 crashes where it meets
# SVE's functions in a precompiled header.)
lumina_isa(sve256 FAMILY aarch64 FLAGS -march=armv8.2-a+sve -msve-vector-bits=256 NO_DISPATCH NO_PRECOMPILING
  EMULATED_BY -cpu max,sve256=on LACKED_BY -cpu max,sve512=on
  STAGES sve=products)
lumina_isa(sve512 FAMILY aarch64 FLAGS -march=armv8.2-a+sve -msve-vector-bits=512 NO_DISPATCH NO_PRECOMPILING
  EMULATED_BY -cpu max,sve512=on LACKED_BY -cpu max,sve256=on
  STAGES aarch64=samples sve=products)
