# cmake -DPYTHON=<python3> -DTOOL=<amalgamate.py> -DHEADER=<file> -P amalgamate.cmake
get_filename_component(folder "${HEADER}" DIRECTORY)
file(MAKE_DIRECTORY "${folder}")
execute_process(COMMAND "${PYTHON}" "${TOOL}" OUTPUT_FILE "${HEADER}" COMMAND_ERROR_IS_FATAL ANY)
