include_guard(GLOBAL)

# Programs for microcontrollers: compiled bare-metal for each CPU below, run in an emulator, and
# compiled for the host, where they must say the same.
find_program(LUMINA_QEMU_ARM qemu-system-arm REQUIRED)
find_program(LUMINA_HOST_CXX NAMES g++ c++ clang++ REQUIRED
  DOC "The host's compiler: it makes what goes into flash, and what programs should say")
find_package(Python3 REQUIRED COMPONENTS Interpreter)

set(lumina_firmware_dir "${PROJECT_SOURCE_DIR}/examples/firmware")

# --- the CPUs ----------------------------------------------------------------------------------------
# For each: flags, the emulator's machine, its clock, and where its flash and its RAM begin.
set(lumina_cpus cortex_m4 cortex_m7 cortex_m55)
set(lumina_cortex_m4_flags -mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16)
set(lumina_cortex_m4_machine netduinoplus2)
set(lumina_cortex_m4_clock 168000000)
set(lumina_cortex_m4_memory 0x08000000 0x20000000)

set(lumina_cortex_m7_flags -mcpu=cortex-m7 -mfloat-abi=hard -mfpu=fpv5-d16)
set(lumina_cortex_m7_machine mps2-an500)
set(lumina_cortex_m7_clock 25000000)
set(lumina_cortex_m7_memory 0x00000000 0x20000000)

# Floats in scalar instructions only: vectors of them (MVE) may treat denormals otherwise.
set(lumina_cortex_m55_flags -mcpu=cortex-m55+nomve.fp -mfloat-abi=hard)
set(lumina_cortex_m55_machine mps3-an547)
set(lumina_cortex_m55_clock 32000000)
set(lumina_cortex_m55_memory 0x00000000 0x20000000)

# The same for all: what the smallest board has, and how much of its RAM is stack.
set(lumina_flash_size 0x80000)
set(lumina_ram_size 0x20000)
set(lumina_stack_size 0x4000)

set(lumina_firmware_flags -std=c++20 -fno-exceptions -fno-rtti)

# What every program for one CPU is compiled and linked with.
function(lumina_add_board cpu)
  list(GET lumina_${cpu}_memory 0 flash)
  list(GET lumina_${cpu}_memory 1 ram)
  add_library(lumina_board_${cpu} INTERFACE)
  target_link_libraries(lumina_board_${cpu} INTERFACE lumina::lumina lumina_warnings)
  target_compile_options(lumina_board_${cpu} INTERFACE
    ${lumina_firmware_flags} -mthumb ${lumina_${cpu}_flags} -ffunction-sections -fdata-sections)
  target_compile_definitions(lumina_board_${cpu} INTERFACE BOARD_CLOCK_HZ=${lumina_${cpu}_clock})
  target_include_directories(lumina_board_${cpu} INTERFACE "${lumina_firmware_dir}")
  foreach(symbol flash_origin=${flash} flash_size=${lumina_flash_size} ram_origin=${ram}
      ram_size=${lumina_ram_size} stack_size=${lumina_stack_size})
    target_link_options(lumina_board_${cpu} INTERFACE "LINKER:--defsym=${symbol}")
  endforeach()
  target_link_options(lumina_board_${cpu} INTERFACE
    -mthumb ${lumina_${cpu}_flags} -nostartfiles --specs=nano.specs LINKER:--gc-sections
    -T "${lumina_firmware_dir}/board/memory.ld")

  file(GLOB sources CONFIGURE_DEPENDS "${lumina_firmware_dir}/board/*.cpp")
  add_library(lumina_board_code_${cpu} OBJECT ${sources})
  target_link_libraries(lumina_board_code_${cpu} PRIVATE lumina_board_${cpu})
endfunction()
foreach(cpu IN LISTS lumina_cpus)
  lumina_add_board(${cpu})
endforeach()

# --- the host ----------------------------------------------------------------------------------------

# lumina_add_host_program(<out-var> <name> SOURCES <source>... [FLAGS <flag>...] [INCLUDES <dir>...]
#                         [DEPENDS <target or file>...])
#
# A program of the build machine; <out-var> becomes its path.
function(lumina_add_host_program out name)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "SOURCES;FLAGS;INCLUDES;DEPENDS")
  set(program "${CMAKE_CURRENT_BINARY_DIR}/host/${name}")
  list(TRANSFORM arg_INCLUDES PREPEND "-I")
  file(MAKE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/host")
  add_custom_command(
    OUTPUT "${program}"
    COMMAND "${LUMINA_HOST_CXX}" ${lumina_firmware_flags} -O2 ${lumina_warnings} -Wno-uninitialized
      -Wno-maybe-uninitialized ${arg_FLAGS} -I "${PROJECT_SOURCE_DIR}/include"
      -I "${lumina_firmware_dir}" ${arg_INCLUDES} ${arg_SOURCES} -MD -MF "${program}.d"
      -o "${program}"
    DEPENDS ${arg_SOURCES} ${arg_DEPENDS}
    DEPFILE "${program}.d"
    COMMENT "Compiling ${name} for the host")
  set(${out} "${program}" PARENT_SCOPE)
endfunction()

# --- programs ----------------------------------------------------------------------------------------

# The command that runs a program for a CPU; an instruction is a nanosecond of the emulated time.
function(lumina_emulator out cpu)
  set(${out}
    "${LUMINA_QEMU_ARM}" -M ${lumina_${cpu}_machine} -nographic -monitor none -serial none
    -chardev stdio,id=console -semihosting-config enable=on,target=native,chardev=console
    -icount shift=0 -kernel
    PARENT_SCOPE)
endfunction()

# lumina_add_firmware(<name> SOURCES <source>... [INCLUDES <dir>...] [DEPENDS <target or file>...]
#                     [FAILS_WITH <regular expression>])
#
# Builds the program for every CPU, as <name>.<cpu>, and registers a test firmware.<name>.<cpu>: it runs
# and must say what the same sources say on the host, compiled as scalar code; and a test
# firmware.<name>.host: they must say the same there with the host's vector instructions. Lines that begin with #
# may differ. A program that FAILS_WITH something runs on the CPUs only, and must end with an error and
# that output.
function(lumina_add_firmware name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "FAILS_WITH" "SOURCES;INCLUDES;DEPENDS")
  list(TRANSFORM arg_SOURCES PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/")
  set(run "${Python3_EXECUTABLE}" "${lumina_firmware_dir}/tools/run.py")
  if(NOT arg_FAILS_WITH)
    file(GLOB host_sources CONFIGURE_DEPENDS "${lumina_firmware_dir}/support/*_host.cpp")
    foreach(kind scalar native)
      set(flags -march=native)
      if(kind STREQUAL "scalar")
        list(APPEND flags -DLUMINA_NO_XSIMD)
      endif()
      lumina_add_host_program(host_${kind} ${name}.${kind} SOURCES ${arg_SOURCES} ${host_sources}
        FLAGS ${flags} INCLUDES ${arg_INCLUDES} DEPENDS ${arg_DEPENDS})
    endforeach()
    add_custom_target(${name}.host ALL DEPENDS "${host_scalar}" "${host_native}")
    add_test(NAME firmware.${name}.host COMMAND ${run} --like "${host_scalar}" -- "${host_native}")
    set_tests_properties(firmware.${name}.host PROPERTIES LABELS firmware TIMEOUT 60)
  endif()
  foreach(cpu IN LISTS lumina_cpus)
    add_executable(${name}.${cpu} ${arg_SOURCES})
    target_link_libraries(${name}.${cpu} PRIVATE lumina_board_${cpu} lumina_board_code_${cpu})
    target_include_directories(${name}.${cpu} PRIVATE ${arg_INCLUDES})
    set_target_properties(${name}.${cpu} PROPERTIES
      SUFFIX .elf LINK_DEPENDS "${lumina_firmware_dir}/board/memory.ld")
    if(arg_DEPENDS)
      add_custom_target(${name}.${cpu}.depends DEPENDS ${arg_DEPENDS})
      add_dependencies(${name}.${cpu} ${name}.${cpu}.depends)
    endif()
    lumina_emulator(emulator ${cpu})
    if(arg_FAILS_WITH)
      set(expected --fails-with "${arg_FAILS_WITH}")
    else()
      set(expected --like "${host_scalar}")
    endif()
    add_test(NAME firmware.${name}.${cpu}
      COMMAND ${run} ${expected} -- ${emulator} $<TARGET_FILE:${name}.${cpu}>)
    set_tests_properties(firmware.${name}.${cpu} PROPERTIES LABELS firmware TIMEOUT 60)
  endforeach()
endfunction()
