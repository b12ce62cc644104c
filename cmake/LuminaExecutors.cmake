include_guard(GLOBAL)

# Threads. The headers offer the OpenMP executor where the compiler defines _OPENMP, and the TBB
# executor where LUMINA_WITH_TBB is defined and oneTBB is linked. Each option is one of
#   AUTO  lumina's own tests, benchmarks and examples use it if it is there;
#   ON    it is required, and everyone who links lumina::lumina gets it;
#   OFF   nobody gets it from here.
foreach(executor OPENMP TBB)
  set(LUMINA_WITH_${executor} AUTO CACHE STRING "${executor} executor: AUTO, ON or OFF")
  set_property(CACHE LUMINA_WITH_${executor} PROPERTY STRINGS AUTO ON OFF)
endforeach()

# The find_dependency lines of the package file, for the executors that are ON.
set(LUMINA_PACKAGE_DEPENDENCIES "")

# lumina_executor(<OPENMP|TBB> <target> <find_package arguments>...)
function(lumina_executor executor target)
  set(wanted "${LUMINA_WITH_${executor}}")
  if(wanted STREQUAL "AUTO")
    if(NOT TARGET lumina_own)
      return()
    endif()
    find_package(${ARGN} QUIET)
    set(receiver lumina_own)
  elseif(wanted)
    find_package(${ARGN} REQUIRED)
    set(receiver lumina)
    list(JOIN ARGN " " arguments)
    string(APPEND LUMINA_PACKAGE_DEPENDENCIES "find_dependency(${arguments})\n")
    set(LUMINA_PACKAGE_DEPENDENCIES "${LUMINA_PACKAGE_DEPENDENCIES}" PARENT_SCOPE)
  endif()
  if(wanted AND TARGET ${target})
    target_link_libraries(${receiver} INTERFACE ${target})
    if(executor STREQUAL "TBB")
      target_compile_definitions(${receiver} INTERFACE LUMINA_WITH_TBB)
    endif()
    message(STATUS "lumina: ${executor} executor on (${wanted})")
  endif()
endfunction()

lumina_executor(OPENMP OpenMP::OpenMP_CXX OpenMP COMPONENTS CXX)
lumina_executor(TBB TBB::tbb TBB)
