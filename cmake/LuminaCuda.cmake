include_guard(GLOBAL)

# lumina::cuda: lumina and what its headers for GPUs need of nvcc; what links it is compiled as CUDA.
add_library(lumina_cuda INTERFACE)
add_library(lumina::cuda ALIAS lumina_cuda)
set_target_properties(lumina_cuda PROPERTIES EXPORT_NAME cuda)
target_link_libraries(lumina_cuda INTERFACE lumina)
# C++20 as a flag, for CMake knows no feature of that name before 3.26; constexpr functions on the device; no
# contraction, which would change numbers; no word about loops of length 0, conversions that only one kind of view
# has, and the host compiler's pragmas.
target_compile_options(lumina_cuda INTERFACE
  "$<$<COMPILE_LANGUAGE:CUDA>:-std=c++20;--expt-relaxed-constexpr;-fmad=false;--diag-suppress=186,554,1675>")
