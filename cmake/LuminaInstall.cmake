include_guard(GLOBAL)
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(lumina_package_dir "${CMAKE_INSTALL_DATADIR}/cmake/lumina")

install(TARGETS lumina EXPORT lumina-targets INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/lumina" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(EXPORT lumina-targets NAMESPACE lumina:: DESTINATION "${lumina_package_dir}")

# Headers serve every machine; the library for run-time choice is one architecture's.
set(lumina_any_machine ARCH_INDEPENDENT)
if(TARGET lumina_dispatch)
  unset(lumina_any_machine)
  install(TARGETS lumina_dispatch EXPORT lumina-dispatch-targets
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
  install(FILES "${PROJECT_SOURCE_DIR}/dispatch/include/lumina/dispatch.hpp"
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
  COMPATIBILITY SameMinorVersion ${lumina_any_machine})
install(FILES "${PROJECT_BINARY_DIR}/lumina-config.cmake"
  "${PROJECT_BINARY_DIR}/lumina-config-version.cmake"
  DESTINATION "${lumina_package_dir}")

# find_package(lumina) finds the build tree too, by lumina_DIR.
export(EXPORT lumina-targets NAMESPACE lumina:: FILE "${PROJECT_BINARY_DIR}/lumina-targets.cmake")
