include_guard(GLOBAL)
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(lumina_package_dir "${CMAKE_INSTALL_DATADIR}/cmake/lumina")

set(lumina_headers lumina)
if(TARGET lumina_cuda)
  list(APPEND lumina_headers lumina_cuda)
endif()
install(TARGETS ${lumina_headers} EXPORT lumina-targets INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/lumina" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(EXPORT lumina-targets NAMESPACE lumina:: DESTINATION "${lumina_package_dir}")

# Headers serve every machine, so the package is found for each; the library for run-time choice is one
# architecture's, which lumina-config.cmake looks at.
set(lumina_dispatch_machine "")
if(TARGET lumina_dispatch)
  set(lumina_dispatch_machine "${CMAKE_SYSTEM_NAME} ${CMAKE_SYSTEM_PROCESSOR}, ${CMAKE_SIZEOF_VOID_P} bytes to a pointer")
  install(TARGETS lumina_dispatch EXPORT lumina-dispatch-targets
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
  install(FILES "${PROJECT_SOURCE_DIR}/dispatch/include/lumina/dispatch.hpp"
    "${PROJECT_SOURCE_DIR}/dispatch/include/lumina/dispatch_arrays.hpp"
    DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/lumina")
  install(EXPORT lumina-dispatch-targets NAMESPACE lumina:: DESTINATION "${lumina_package_dir}")
  export(EXPORT lumina-dispatch-targets NAMESPACE lumina::
    FILE "${PROJECT_BINARY_DIR}/lumina-dispatch-targets.cmake")
endif()

configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/lumina-config.cmake.in" "${PROJECT_BINARY_DIR}/lumina-config.cmake"
  INSTALL_DESTINATION "${lumina_package_dir}"
  NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file(
  "${PROJECT_BINARY_DIR}/lumina-config-version.cmake"
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES "${PROJECT_BINARY_DIR}/lumina-config.cmake"
  "${PROJECT_BINARY_DIR}/lumina-config-version.cmake" "${PROJECT_SOURCE_DIR}/cmake/LuminaVectorFlags.cmake"
  DESTINATION "${lumina_package_dir}")

# find_package(lumina) finds the build tree too, by lumina_DIR.
file(COPY "${PROJECT_SOURCE_DIR}/cmake/LuminaVectorFlags.cmake" DESTINATION "${PROJECT_BINARY_DIR}")
export(EXPORT lumina-targets NAMESPACE lumina:: FILE "${PROJECT_BINARY_DIR}/lumina-targets.cmake")
