# cmake -DCXX=<compiler> -DFLAGS=<flags> -DSOURCE=<file> -DPROGRAM=<file> [-DMUST_COMPILE=ON]
#   -P float_flags.cmake
#
# Compiles and runs, or is refused with a sentence.
get_filename_component(folder "${PROGRAM}" DIRECTORY)
file(MAKE_DIRECTORY "${folder}")
execute_process(COMMAND "${CXX}" ${FLAGS} "${SOURCE}" -o "${PROGRAM}"
  COMMAND_ECHO STDOUT RESULT_VARIABLE result ERROR_VARIABLE errors)
if(NOT result EQUAL 0)
  if(MUST_COMPILE OR NOT errors MATCHES "error: [^\n]*lumina: [^\n]*the library's numbers[^\n]*Compile ")
    message(FATAL_ERROR "${errors}")
  endif()
  message(STATUS "refused")
  return()
endif()
execute_process(COMMAND "${PROGRAM}" COMMAND_ERROR_IS_FATAL ANY)
