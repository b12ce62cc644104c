cmake_minimum_required(VERSION 3.21)

# cmake -DNM=<nm> -DOBJECTS=<object files> [-DUNITS=<function>] [-DFOLDERS=ON] -P shared_symbols.cmake
#
# No function or object of lumina's may be defined in two of the object files, which are compiled with
# different flags (with FOLDERS: those of a folder with the same); with UNITS none at all, also not the
# standard library's, but for that function.
set(shared "")
foreach(object IN LISTS OBJECTS)
  execute_process(
    COMMAND "${NM}" --defined-only --extern-only --demangle "${object}"
    OUTPUT_VARIABLE lines COMMAND_ERROR_IS_FATAL ANY)
  # One list element per line: a demangled name may hold what CMake reads as list syntax.
  string(REGEX REPLACE "[][;]" "_" lines "${lines}")
  string(REGEX MATCHALL "[^\n]+" lines "${lines}")
  list(TRANSFORM lines REPLACE "^[0-9a-f]* *[A-Za-z] " "")
  if(UNITS)
    # Personalities are data, and __clang_call_terminate is the same for everyone.
    list(FILTER lines EXCLUDE REGEX "^(DW\\.ref\\.|${UNITS}|__clang)")
  else()
    list(FILTER lines INCLUDE REGEX "lumina::")
  endif()
  list(REMOVE_DUPLICATES lines)
  list(LENGTH lines count)
  message(STATUS "${object}: ${count} symbols")
  if(count EQUAL 0)
    message(FATAL_ERROR "no symbol of lumina's in ${object}: this check sees nothing")
  endif()
  set(unit "${object}")
  if(FOLDERS)
    get_filename_component(unit "${object}" DIRECTORY)
  endif()
  foreach(line IN LISTS lines)
    string(MD5 symbol "${line}")
    if(DEFINED unit_of_${symbol} AND NOT unit_of_${symbol} STREQUAL unit)
      list(APPEND shared "${line}")
    endif()
    set(unit_of_${symbol} "${unit}")
  endforeach()
endforeach()
if(shared)
  list(JOIN shared "\n  " shared)
  message(FATAL_ERROR "defined in more than one object file:\n  ${shared}")
endif()
