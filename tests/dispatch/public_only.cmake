# cmake -DFOLDERS=<folders> -P public_only.cmake
#
# Code that is not the library itself uses what every program may use: nothing of lumina::detail.
set(seen 0)
foreach(folder IN LISTS FOLDERS)
  file(GLOB_RECURSE files "${folder}/*.hpp" "${folder}/*.cpp" "${folder}/*.in")
  foreach(file IN LISTS files)
    math(EXPR seen "${seen} + 1")
    file(STRINGS "${file}" lines REGEX "detail(::|/|;)")
    if(lines)
      message(SEND_ERROR "${file} uses what is not public:\n  ${lines}")
    endif()
  endforeach()
endforeach()
if(seen EQUAL 0)
  message(FATAL_ERROR "no files in ${FOLDERS}: this check sees nothing")
endif()
message(STATUS "${seen} files")
