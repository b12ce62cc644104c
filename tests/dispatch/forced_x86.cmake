# PROGRAM with ISA forced by the environment and by the API: what it says, and that it ran KINDS of
# instructions. A name alone would prove nothing.
list(JOIN KINDS " " kinds)
foreach(how IN ITEMS environment argument)
  if(how STREQUAL "environment")
    set(command "${CMAKE_COMMAND}" -E env "LUMINA_FORCE_ISA=${ISA}" "${PROGRAM}")
  else()
    set(command "${PROGRAM}" ${ISA})
  endif()
  execute_process(COMMAND ${command}
    OUTPUT_VARIABLE output OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE result)
  if(NOT result EQUAL 0 AND output MATCHES "says ${ISA}; this machine runs ")
    message("SKIPPED: ${output}")
    return()
  endif()
  # Instructions of 256 bits may stand beside those of 512.
  string(REPLACE "vex256 evex512" "evex512" seen "${output}")
  string(STRIP "${ISA}: ${kinds}" expected)
  if(NOT result EQUAL 0 OR NOT seen STREQUAL expected)
    message(SEND_ERROR "${ISA} forced (${how}): expected '${expected}', it says '${output}' and ends with ${result}")
  endif()
endforeach()
