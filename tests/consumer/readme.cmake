# cmake -DREADME=<file> (and what compile_and_run.cmake takes, except SOURCES) -P readme.cmake
#
# The first ```cpp block of the README must compile and run as printed.
file(READ "${README}" text)
string(FIND "${text}" "```cpp\n" begin)
if(begin EQUAL -1)
  message(FATAL_ERROR "no ```cpp block in ${README}")
endif()
math(EXPR begin "${begin} + 7")
string(SUBSTRING "${text}" ${begin} -1 text)
string(FIND "${text}" "\n```" end)
string(SUBSTRING "${text}" 0 ${end} program)

set(SOURCES "${PROGRAM}.cpp")
file(WRITE "${SOURCES}" "${program}\n")
include("${CMAKE_CURRENT_LIST_DIR}/compile_and_run.cmake")
