# cmake -DNVCC=<nvcc> -DSOURCE=<file> -DARCHITECTURE=<90a> -DINCLUDE=<folder> -DOUTPUT=<folder> -P compile.cmake
#
# Compiles a file for one architecture and looks at what came out: no kernel may spill registers or keep anything on
# a stack; none may be a `trap`, which nvcc silently makes of a constexpr function that reads an array of the host; and
# no function of the host may call exit(), which it silently makes of a call of a device's function.
file(MAKE_DIRECTORY "${OUTPUT}")
execute_process(
  COMMAND "${NVCC}" -std=c++20 -O3 --expt-relaxed-constexpr -fmad=false --diag-suppress=186,554,1675 -DLUMINA_NO_XSIMD
    -I "${INCLUDE}" -gencode arch=compute_${ARCHITECTURE},code=sm_${ARCHITECTURE} -Xptxas -v --keep --keep-dir "${OUTPUT}"
    -c "${SOURCE}" -o "${OUTPUT}/unit.o"
  RESULT_VARIABLE result ERROR_VARIABLE report OUTPUT_VARIABLE report)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${SOURCE} does not compile:\n${report}")
endif()
string(REGEX MATCHALL "Function properties for [^\n]*\n[^\n]*" functions "${report}")
list(LENGTH functions count)
if(count EQUAL 0)
  message(FATAL_ERROR "${SOURCE} has no kernels:\n${report}")
endif()
foreach(function IN LISTS functions)
  if(NOT function MATCHES "\n *0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads")
    message(FATAL_ERROR "registers in memory: ${function}")
  endif()
endforeach()

file(GLOB ptx "${OUTPUT}/*.ptx")
if(NOT ptx)
  message(FATAL_ERROR "nvcc has kept no PTX in ${OUTPUT}")
endif()
foreach(file IN LISTS ptx)
  file(STRINGS "${file}" traps REGEX "^[ \t]*trap;")
  if(traps)
    message(FATAL_ERROR "a kernel is a trap: see ${file}")
  endif()
endforeach()

execute_process(COMMAND nm --undefined-only "${OUTPUT}/unit.o" OUTPUT_VARIABLE undefined
  COMMAND_ERROR_IS_FATAL ANY)
if(undefined MATCHES " exit\n")
  message(FATAL_ERROR "the host calls exit() in ${OUTPUT}/unit.o, so some function of a device")
endif()
message(STATUS "${count} kernels")
