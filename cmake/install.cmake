# Install rules: headers, library, CMake package and pkg-config file. Everything is relocatable.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS aioctx EXPORT aioctx-targets
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY include/aioctx ${CMAKE_CURRENT_BINARY_DIR}/include/aioctx
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

set(aioctx_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/aioctx)
install(EXPORT aioctx-targets NAMESPACE aioctx:: DESTINATION ${aioctx_package_dir})
configure_package_config_file(cmake/aioctx-config.cmake.in aioctx-config.cmake
  INSTALL_DESTINATION ${aioctx_package_dir})
write_basic_package_version_file(aioctx-config-version.cmake COMPATIBILITY SameMajorVersion)
install(FILES
  ${CMAKE_CURRENT_BINARY_DIR}/aioctx-config.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/aioctx-config-version.cmake
  DESTINATION ${aioctx_package_dir})

# pkg-config: paths are relative to the .pc file, unless the library's directory was given as absolute.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(AIOCTX_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
else()
  file(RELATIVE_PATH AIOCTX_PC_PREFIX
    "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
  string(REGEX REPLACE "/$" "" AIOCTX_PC_PREFIX "\${pcfiledir}/${AIOCTX_PC_PREFIX}")
endif()
foreach(dir LIBDIR INCLUDEDIR)
  if(IS_ABSOLUTE "${CMAKE_INSTALL_${dir}}")
    set(AIOCTX_PC_${dir} "${CMAKE_INSTALL_${dir}}")
  else()
    set(AIOCTX_PC_${dir} "\${prefix}/${CMAKE_INSTALL_${dir}}")
  endif()
endforeach()
set(AIOCTX_PC_CFLAGS "")
if(NOT AIOCTX_IS_SHARED)
  set(AIOCTX_PC_CFLAGS " -DAIO_STATIC_DEFINE")
endif()
set(AIOCTX_PC_LIBS_PRIVATE "${CMAKE_THREAD_LIBS_INIT}")
if(CMAKE_USE_PTHREADS_INIT)
  set(AIOCTX_PC_LIBS_PRIVATE "-pthread")
endif()
foreach(library IN LISTS AIOCTX_PLATFORM_LIBRARIES)
  string(APPEND AIOCTX_PC_LIBS_PRIVATE " -l${library}")
endforeach()
configure_file(cmake/aioctx.pc.in aioctx.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/aioctx.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
