# cmake -DHIPCC=<hipcc> -DSOURCE=<file> -DINCLUDE=<folder> -DOUTPUT=<file without extension> -P compile_hip.cmake
#
# Compiles a file's kernels, and its host's part, for one of AMD's GPUs. No kernel may be a trap.
set(flags -std=c++20 -x hip --offload-arch=gfx90a -ffp-contract=off -O1 -DLUMINA_NO_XSIMD -Wno-pass-failed
  -Wno-unused-command-line-argument -I "${INCLUDE}" -I "${CMAKE_CURRENT_LIST_DIR}/..")
foreach(side "--cuda-device-only -S" "--cuda-host-only -c")
  separate_arguments(options UNIX_COMMAND "${side}")
  execute_process(COMMAND "${HIPCC}" ${flags} ${options} "${SOURCE}" -o "${OUTPUT}.s"
    RESULT_VARIABLE result ERROR_VARIABLE report OUTPUT_VARIABLE report)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${SOURCE} does not compile:\n${report}")
  endif()
  if(side MATCHES "device")
    file(STRINGS "${OUTPUT}.s" traps REGEX "^[ \t]*s_trap")
    if(traps)
      message(FATAL_ERROR "a kernel of ${SOURCE} is a trap: see ${OUTPUT}.s")
    endif()
  endif()
endforeach()
