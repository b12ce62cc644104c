# cmake -DCXX=<compiler> -DFLAGS=<flags> -DSOURCES=<files> -DPROGRAM=<file> -P compile_and_run.cmake
get_filename_component(folder "${PROGRAM}" DIRECTORY)
file(MAKE_DIRECTORY "${folder}")
execute_process(
  COMMAND "${CXX}" ${FLAGS} ${SOURCES} -o "${PROGRAM}"
  COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${PROGRAM}" COMMAND_ERROR_IS_FATAL ANY)
