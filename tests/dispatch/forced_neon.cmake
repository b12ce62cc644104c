# PROGRAM under EMULATOR, qemu-aarch64, with instruction sets forced: what it says, and which
# instructions the emulator has translated. A name alone would prove nothing.

# run(<forced ISA, or ""> <emulator argument>...): sets output, result and dot_products, which says
# whether instructions of that kind are among those that ran.
function(run forced)
  set(log "${PROGRAM}.${forced}.log")
  execute_process(
    COMMAND "${CMAKE_COMMAND}" -E env "LUMINA_FORCE_ISA=${forced}"
      ${EMULATOR} ${ARGN} -d in_asm -D "${log}" "${PROGRAM}"
    OUTPUT_VARIABLE output OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE result)
  file(STRINGS "${log}" code REGEX "^0x[0-9a-f]+:")
  if(NOT code)
    message(FATAL_ERROR "${log} shows no instructions")
  endif()
  # By their encoding, as some disassemblers do not know them: SDOT and UDOT, of vectors and by element.
  list(FILTER code INCLUDE REGEX
    "^0x[0-9a-f]+: +([46]e[89][0-9a-f]9[4-7]|[46]f[89ab][0-9a-f]e[012389ab])")
  list(LENGTH code dot_products)
  file(REMOVE "${log}")
  set(output "${output}" PARENT_SCOPE)
  set(result "${result}" PARENT_SCOPE)
  set(dot_products "${dot_products}" PARENT_SCOPE)
endfunction()

function(expect what)
  if(NOT (${ARGN}))
    message(SEND_ERROR
      "${what}: it says '${output}', ends with ${result}, and runs ${dot_products} dot products")
  endif()
endfunction()

run(neon_dotprod)
expect("neon_dotprod forced" output STREQUAL "neon_dotprod" AND result EQUAL 0 AND dot_products GREATER 0)
run(neon)
expect("neon forced" output STREQUAL "neon" AND result EQUAL 0 AND dot_products EQUAL 0)
run("")
expect("the best one" output STREQUAL "neon_dotprod" AND result EQUAL 0 AND dot_products GREATER 0)
run("" -cpu cortex-a53)
expect("a CPU without dot products" output STREQUAL "neon" AND result EQUAL 0 AND dot_products EQUAL 0)
run(neon_dotprod -cpu cortex-a53)
expect("neon_dotprod forced where it is not"
  output MATCHES "LUMINA_FORCE_ISA says neon_dotprod.*this machine runs neon$" AND result EQUAL 1)
