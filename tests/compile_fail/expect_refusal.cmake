# cmake -DCXX=<compiler> -DSNIPPET=<file> -DINCLUDE=<folder> [-DFLAGS=<flag>;…] -P expect_refusal.cmake
file(STRINGS "${SNIPPET}" expected LIMIT_COUNT 1)
if(NOT expected MATCHES "^// expect: (.+)$")
  message(FATAL_ERROR "${SNIPPET} must begin with '// expect: <regular expression>'")
endif()
set(expected "${CMAKE_MATCH_1}")

# No xsimd: these checks do not depend on it, and it takes longest to read.
set(compile "${CXX}" -std=c++20 -fsyntax-only -DLUMINA_NO_XSIMD -I "${INCLUDE}" ${FLAGS})

execute_process(COMMAND ${compile} "${SNIPPET}" RESULT_VARIABLE result ERROR_VARIABLE errors)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "the correct twin does not compile:\n${errors}")
endif()

execute_process(COMMAND ${compile} -DMISTAKE "${SNIPPET}" RESULT_VARIABLE result ERROR_VARIABLE errors)
if(result EQUAL 0)
  message(FATAL_ERROR "the mistake compiles")
endif()
if(NOT errors MATCHES "(error|note): [^\n]*(${expected})")
  message(FATAL_ERROR "refused, but neither error nor note says '${expected}':\n${errors}")
endif()
