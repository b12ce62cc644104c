include_guard(GLOBAL)
include(LuminaHeaderOnly)

# The headers decide for themselves with __has_include(<xsimd/xsimd.hpp>), so that they work without
# CMake too; this file only makes xsimd visible to them. Three sources, in this order:
#   1. LUMINA_XSIMD_INCLUDE_DIR, a folder that holds xsimd/xsimd.hpp;
#   2. an installed package, by find_package;
#   3. a download of the upstream repository, if LUMINA_FETCH_XSIMD allows it.
# With none of them the library works on its scalar architecture.
set(LUMINA_XSIMD AUTO CACHE STRING
  "AUTO: use xsimd if it is there; ON: fail without it; OFF: scalar code only")
set_property(CACHE LUMINA_XSIMD PROPERTY STRINGS AUTO ON OFF)
set(LUMINA_XSIMD_INCLUDE_DIR "" CACHE PATH "Folder that holds xsimd/xsimd.hpp, instead of a search")
# OFF by default: configuring a project should not reach for the network unasked.
option(LUMINA_FETCH_XSIMD "Download xsimd when it is not installed" OFF)

# Where xsimd came from: package, directory, download, none or disabled. The package file needs it.
set(LUMINA_XSIMD_SOURCE none)
set(lumina_xsimd_dir "")

if(LUMINA_XSIMD STREQUAL "AUTO" OR LUMINA_XSIMD)
  if(LUMINA_XSIMD_INCLUDE_DIR)
    set(LUMINA_XSIMD_SOURCE directory)
    set(lumina_xsimd_dir "${LUMINA_XSIMD_INCLUDE_DIR}")
  else()
    find_package(xsimd QUIET)
    if(xsimd_FOUND)
      set(LUMINA_XSIMD_SOURCE package)
      get_target_property(lumina_xsimd_dir xsimd INTERFACE_INCLUDE_DIRECTORIES)
    elseif(CMAKE_CROSSCOMPILING AND NOT CMAKE_DISABLE_FIND_PACKAGE_xsimd)
      # The host's copy serves as well: it is headers only.
      find_path(LUMINA_HOST_XSIMD_INCLUDE_DIR xsimd/xsimd.hpp
        PATHS /usr/include /usr/local/include NO_CMAKE_FIND_ROOT_PATH)
      mark_as_advanced(LUMINA_HOST_XSIMD_INCLUDE_DIR)
      if(LUMINA_HOST_XSIMD_INCLUDE_DIR)
        set(LUMINA_XSIMD_SOURCE directory)
        set(lumina_xsimd_dir "${LUMINA_HOST_XSIMD_INCLUDE_DIR}")
      endif()
    endif()
    if(LUMINA_XSIMD_SOURCE STREQUAL "none" AND LUMINA_FETCH_XSIMD)
      include(FetchContent)
      # A SOURCE_SUBDIR that does not exist: populate only. xsimd's own project, with its options and
      # install rules, stays out of the user's build.
      FetchContent_Declare(
        xsimd
        GIT_REPOSITORY https://github.com/xtensor-stack/xsimd.git
        GIT_TAG 13.2.0
        GIT_SHALLOW TRUE
        SOURCE_SUBDIR headers-only)
      FetchContent_MakeAvailable(xsimd)
      set(LUMINA_XSIMD_SOURCE download)
      set(lumina_xsimd_dir "${xsimd_SOURCE_DIR}/include")
    endif()
  endif()
else()
  set(LUMINA_XSIMD_SOURCE disabled)
  target_compile_definitions(lumina INTERFACE LUMINA_NO_XSIMD)
endif()

if(lumina_xsimd_dir)
  # By its folder and not by its target, so that lumina's exported targets are the same whichever
  # source it was; the package file searches for xsimd again on its user's machine.
  lumina_private_include(xsimd "${lumina_xsimd_dir}" lumina_xsimd_dir)
  if(NOT EXISTS "${lumina_xsimd_dir}/xsimd/xsimd.hpp")
    message(FATAL_ERROR "lumina: no xsimd/xsimd.hpp in '${lumina_xsimd_dir}'")
  endif()
  target_include_directories(lumina SYSTEM INTERFACE "$<BUILD_INTERFACE:${lumina_xsimd_dir}>")
  file(STRINGS "${lumina_xsimd_dir}/xsimd/config/xsimd_config.hpp" lumina_xsimd_version
    REGEX "define XSIMD_VERSION_(MAJOR|MINOR|PATCH)")
  list(TRANSFORM lumina_xsimd_version REPLACE ".* " "")
  list(JOIN lumina_xsimd_version "." lumina_xsimd_version)
  if(PROJECT_IS_TOP_LEVEL)
    message(STATUS "lumina: xsimd ${lumina_xsimd_version} (${LUMINA_XSIMD_SOURCE}: ${lumina_xsimd_dir})")
  endif()
elseif(NOT LUMINA_XSIMD_SOURCE STREQUAL "disabled")
  if(NOT LUMINA_XSIMD STREQUAL "AUTO")
    message(FATAL_ERROR "lumina: LUMINA_XSIMD is ON and xsimd was not found. Install it "
      "(Debian: libxsimd-dev), set LUMINA_XSIMD_INCLUDE_DIR, or allow LUMINA_FETCH_XSIMD=ON.")
  endif()
  message(STATUS "lumina: xsimd not found, so scalar code only, which is many times slower. Install "
    "it (Debian: libxsimd-dev), or configure with -DLUMINA_FETCH_XSIMD=ON to download it.")
endif()
