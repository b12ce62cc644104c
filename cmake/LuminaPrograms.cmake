include_guard(GLOBAL)
include(LuminaIsas)

# How lumina's own tests, benchmarks and examples are compiled. None of it reaches the library's users:
# lumina_warnings has the warnings, and lumina_own also the executors that are there (LuminaExecutors).
add_library(lumina_warnings INTERFACE)
add_library(lumina_own INTERFACE)
target_compile_definitions(lumina_own INTERFACE LUMINA_NO_SCALAR_MESSAGE)  # tests mean it
target_link_libraries(lumina_own INTERFACE lumina_warnings)
set(lumina_warnings -Wall -Wextra -Wconversion -Wshadow)
if(CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
  target_compile_options(lumina_warnings INTERFACE
    ${lumina_warnings} $<$<BOOL:${LUMINA_WARNINGS_AS_ERRORS}>:-Werror>)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # A false alarm: g++ 12 finds overlapping copies in its own std::string.
  target_compile_options(lumina_warnings INTERFACE -Wno-restrict)
endif()

set(lumina_isa_FLAGS_native -march=native)

if(NOT CMAKE_CROSSCOMPILING)
  set(lumina_default_isa native)
elseif(lumina_baseline_isa)
  set(lumina_default_isa ${lumina_baseline_isa})
else()
  list(GET lumina_vector_isas -1 lumina_default_isa)
endif()
set(LUMINA_ISA ${lumina_default_isa} CACHE STRING
  "The ISA of the benchmarks and examples: native, ${lumina_isas}")
set_property(CACHE LUMINA_ISA PROPERTY STRINGS native ${lumina_isas})

# Runs before any other code of a program, and ends it with "SKIPPED" where the CPU lacks the ISA.
foreach(isa IN LISTS lumina_isas)
  if(NOT isa MATCHES "^(scalar|${lumina_baseline_isa})$")  # which every machine has
    add_library(lumina_cpu_check_${isa} OBJECT EXCLUDE_FROM_ALL
      "${PROJECT_SOURCE_DIR}/tests/support/cpu_check.cpp")
    target_compile_definitions(lumina_cpu_check_${isa} PRIVATE LUMINA_CHECK_ISA="${isa}")
    if(lumina_isa_FALLS_BACK_${isa})
      target_compile_definitions(lumina_cpu_check_${isa} PRIVATE
        LUMINA_FALLBACK_ISA="${lumina_isa_EXTENDS_${isa}}")
    endif()
    target_link_libraries(lumina_cpu_check_${isa} PRIVATE lumina_own)
    target_compile_features(lumina_cpu_check_${isa} PRIVATE cxx_std_20)
  endif()
endforeach()

# lumina_set_isa(<target> <isa>)
#
# Compiles the target's sources for one ISA: native, or one of lumina_isas.
function(lumina_set_isa target isa)
  if(NOT isa IN_LIST lumina_isas AND NOT isa STREQUAL "native")
    message(FATAL_ERROR
      "lumina: unknown ISA '${isa}' for ${target}; known here: native ${lumina_isas}")
  endif()
  lumina_compile_for(${target} ${isa})
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "EXECUTABLE")
    if(TARGET lumina_cpu_check_${isa})
      target_link_libraries(${target} PRIVATE lumina_cpu_check_${isa})
    endif()
    if(CMAKE_CROSSCOMPILING_EMULATOR AND lumina_isa_EMULATED_BY_${isa})
      set_target_properties(${target} PROPERTIES
        CROSSCOMPILING_EMULATOR "${lumina_emulator};${lumina_isa_EMULATED_BY_${isa}}")
    endif()
  endif()
endfunction()

# lumina_add_program(<name> SOURCES <source>... [ISA <isa>] [LIBRARIES <library>...])
#
# One of lumina's own executables: our warnings, the executors that are there, and one ISA, which is
# LUMINA_ISA unless given.
function(lumina_add_program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "ISA" "SOURCES;LIBRARIES")
  if(NOT arg_ISA)
    set(arg_ISA ${LUMINA_ISA})
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE lumina::lumina lumina_own ${arg_LIBRARIES})
  lumina_set_isa(${name} ${arg_ISA})
endfunction()
