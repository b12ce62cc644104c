include_guard(GLOBAL)
include(CheckCXXSourceCompiles)

# For projects that use lumina: says so when their flags leave it scalar code. Flags of targets
# (target_compile_options) cannot be seen here, so it is a remark; config.hpp says it again to the
# compiler. The variable LUMINA_NO_SCALAR_MESSAGE, or that macro in the flags, switches both off.
# lumina_check_vector_flags(<the library's target>)
function(lumina_check_vector_flags target)
  if(LUMINA_NO_SCALAR_MESSAGE)
    target_compile_definitions(${target} INTERFACE LUMINA_NO_SCALAR_MESSAGE)
    return()
  elseif(NOT CMAKE_CXX_COMPILER_LOADED)
    return()
  endif()
  get_directory_property(options COMPILE_OPTIONS)
  get_directory_property(definitions COMPILE_DEFINITIONS)
  list(TRANSFORM definitions PREPEND -D)
  string(TOUPPER "${CMAKE_BUILD_TYPE}" build_type)
  string(GENEX_STRIP "${CMAKE_CXX_FLAGS_${build_type}};${options};${definitions}" flags)
  list(JOIN flags " " CMAKE_REQUIRED_FLAGS)
  set(CMAKE_REQUIRED_QUIET TRUE)
  set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
  unset(LUMINA_VECTOR_FLAGS CACHE)  # flags may have changed
  check_cxx_source_compiles("
    #if (defined(__x86_64__) || defined(__i386__)) && !(defined(__AVX2__) && defined(__FMA__)) \\
      && !defined(LUMINA_NO_XSIMD) && !defined(LUMINA_NO_SCALAR_MESSAGE)
    #error scalar
    #endif
    int vector_flags;" LUMINA_VECTOR_FLAGS)
  if(NOT LUMINA_VECTOR_FLAGS)
    message(STATUS "lumina: the compiler's flags name no vector instructions, so targets that do not either "
      "get scalar code, five times slower. Say -march=native or -mavx2 -mfma (CMAKE_CXX_FLAGS, "
      "target_compile_options), or link lumina::dispatch, which chooses at run time; if this is meant, "
      "configure with -DLUMINA_NO_SCALAR_MESSAGE=ON.")
  endif()
endfunction()
