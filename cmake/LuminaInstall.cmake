include_guard(GLOBAL)
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(lumina_package_dir "${CMAKE_INSTALL_DATADIR}/cmake/lumina")

install(TARGETS lumina EXPORT lumina-targets INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/lumina" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(EXPORT lumina-targets NAMESPACE lumina:: DESTINATION "${lumina_package_dir}")

configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/lumina-config.cmake.in" "${PROJECT_BINARY_DIR}/lumina-config.cmake"
  INSTALL_DESTINATION "${lumina_package_dir}"
  NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file(
  "${PROJECT_BINARY_DIR}/lumina-config-version.cmake"
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES "${PROJECT_BINARY_DIR}/lumina-config.cmake"
  "${PROJECT_BINARY_DIR}/lumina-config-version.cmake"
  DESTINATION "${lumina_package_dir}")

# find_package(lumina) finds the build tree too, by lumina_DIR.
export(EXPORT lumina-targets NAMESPACE lumina:: FILE "${PROJECT_BINARY_DIR}/lumina-targets.cmake")
