include_guard(GLOBAL)

# lumina_private_include(<name> <include-dir> <out-var>)
#
# <out-var> becomes a folder from which <name/...> can be included and that is safe to pass to the
# compiler. A cross compiler must never be given the host's /usr/include, where a header-only library
# lies beside the host's libc headers; it gets a folder of its own with a link to that one library.
function(lumina_private_include name include_dir out)
  if(CMAKE_CROSSCOMPILING)
    set(links "${PROJECT_BINARY_DIR}/host_headers/${name}")
    file(MAKE_DIRECTORY "${links}")
    file(CREATE_LINK "${include_dir}/${name}" "${links}/${name}" SYMBOLIC)
    set(include_dir "${links}")
  endif()
  set(${out} "${include_dir}" PARENT_SCOPE)
endfunction()
