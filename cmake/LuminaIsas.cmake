include_guard(GLOBAL)

# What is made of the table of instruction sets, isas.cmake:
#
#   lumina_isas            those that the machine compiled for can have, the better ones last
#   lumina_vector_isas     of these, those with vectors of their own, and scalar
#   lumina_dispatch_isas   those that lumina::dispatch has a unit for, the best one first
#   lumina_baseline_isa    the one that every machine of the architecture has, if that is more than scalar
#   lumina_isa_<column>_<name>, for the columns of the table

# lumina_isa(<name> FAMILY <any, or one of lumina_family> ...): a row of the table.
#
#   EXTENDS <name>      another one, whose flags and vectors it has
#   FLAGS <flag>...     the compiler's, besides those of the one that it extends
#   FOR codes           only products of codes differ from the one that it extends, so only they are tested
#   BASELINE            every machine of the family has it: there is nothing to ask, and nothing below it to choose
#   FALLS_BACK          a program for it runs the one that it extends where the machine has no more
#   NO_DISPATCH         lumina::dispatch has no unit for it
#   NO_PRECOMPILING     compilers cannot precompile headers for it
#   RUNS <kind>...      the instructions by which one knows it while it runs (tests/dispatch/executed.hpp)
#   EMULATED_BY <arg>.. what makes the family's emulator a machine that has it, where that is not the default
#   LACKED_BY <arg>...  what makes it one that lacks it
#   STAGES <stage>...   the stages of scripts/test that compile its unit tests; <stage>=<set>: only those that
#                       tests/CMakeLists.txt has in <set>_sources
#   BENCHMARKS <what>.. floats, codes: it is measured where benchmarks are compiled for all that a machine has
function(lumina_isa name)
  set(lists FLAGS RUNS EMULATED_BY LACKED_BY STAGES BENCHMARKS)
  set(options BASELINE FALLS_BACK NO_DISPATCH NO_PRECOMPILING)
  cmake_parse_arguments(PARSE_ARGV 1 arg "${options}" "FAMILY;EXTENDS;FOR" "${lists}")
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_FAMILY)
    message(FATAL_ERROR "isas.cmake, row '${name}': no FAMILY, or unknown '${arg_UNPARSED_ARGUMENTS}'")
  elseif(NOT arg_FAMILY MATCHES "^(any|${lumina_family})$")
    return()
  elseif(arg_EXTENDS AND NOT arg_EXTENDS IN_LIST lumina_isas)
    message(FATAL_ERROR "isas.cmake, row '${name}': '${arg_EXTENDS}' must stand before what extends it")
  endif()
  list(PREPEND arg_FLAGS ${lumina_isa_FLAGS_${arg_EXTENDS}})
  foreach(column FOR EXTENDS ${options} ${lists})
    set(lumina_isa_${column}_${name} "${arg_${column}}" PARENT_SCOPE)
  endforeach()
  set(lumina_isas ${lumina_isas} ${name} PARENT_SCOPE)
  if(NOT arg_FOR STREQUAL "codes")
    set(lumina_vector_isas ${lumina_vector_isas} ${name} PARENT_SCOPE)
  endif()
  set(units ${lumina_dispatch_isas})
  if(arg_BASELINE)
    set(units "")
    set(lumina_baseline_isa ${name} PARENT_SCOPE)
  elseif(arg_FALLS_BACK)
    list(REMOVE_ITEM units ${arg_EXTENDS})  # one unit is both
  endif()
  if(NOT arg_NO_DISPATCH)
    list(PREPEND units ${name})
  endif()
  set(lumina_dispatch_isas ${units} PARENT_SCOPE)
endfunction()

if(LUMINA_XSIMD_SOURCE MATCHES "^(none|disabled)$")
  set(lumina_family scalar)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(lumina_family x86_64)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(lumina_family aarch64)
else()
  set(lumina_family scalar)
endif()
set(lumina_isas "")
set(lumina_vector_isas "")
set(lumina_dispatch_isas "")
set(lumina_baseline_isa "")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${CMAKE_CURRENT_LIST_DIR}/isas.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/isas.cmake")

# lumina_compile_for(<target> <isa>): the flags of one of them.
function(lumina_compile_for target isa)
  target_compile_options(${target} PRIVATE ${lumina_isa_FLAGS_${isa}})
endfunction()

# lumina_isas_of_stage(<stage> <out-var>): also sets tests_of_<isa>, to the set that the row says.
function(lumina_isas_of_stage stage out)
  set(isas "")
  foreach(isa IN LISTS lumina_isas)
    foreach(entry IN LISTS lumina_isa_STAGES_${isa})
      if(entry MATCHES "^${stage}(=([a-z]+))?$")
        list(APPEND isas ${isa})
        set(tests_of_${isa} "${CMAKE_MATCH_2}" PARENT_SCOPE)
      endif()
    endforeach()
  endforeach()
  if(NOT isas)
    message(FATAL_ERROR "isas.cmake names no instruction set of ${lumina_family} for the stage '${stage}'")
  endif()
  set(${out} ${isas} PARENT_SCOPE)
endfunction()

# lumina_emulator: the program that emulates a machine of the family, to show what a CPU with or without an ISA
# does; empty where there is none.
set(lumina_emulator "")
if(CMAKE_CROSSCOMPILING_EMULATOR MATCHES "qemu-")
  set(lumina_emulator ${CMAKE_CROSSCOMPILING_EMULATOR})
elseif(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64" AND CMAKE_HOST_SYSTEM_PROCESSOR STREQUAL "x86_64")
  find_program(LUMINA_QEMU_X86_64 qemu-x86_64)
  mark_as_advanced(LUMINA_QEMU_X86_64)
  if(LUMINA_QEMU_X86_64)
    set(lumina_emulator "${LUMINA_QEMU_X86_64}")
  endif()
endif()
