# Properties of the library target.
include(GenerateExportHeader)
find_package(Threads REQUIRED)

set_target_properties(aioctx PROPERTIES
  C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF
  C_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
generate_export_header(aioctx BASE_NAME AIO EXPORT_FILE_NAME include/aioctx/export.h)
configure_file(include/aioctx/version.h.in ${CMAKE_CURRENT_BINARY_DIR}/include/aioctx/version.h @ONLY)
target_include_directories(aioctx
  PUBLIC $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>
         $<BUILD_INTERFACE:${CMAKE_CURRENT_BINARY_DIR}/include>
  PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(aioctx PRIVATE Threads::Threads ${AIOCTX_PLATFORM_LIBRARIES})
target_compile_definitions(aioctx PRIVATE ${AIOCTX_PLATFORM_DEFINITIONS})
get_target_property(AIOCTX_TYPE aioctx TYPE)
if(AIOCTX_TYPE STREQUAL "SHARED_LIBRARY")
  set(AIOCTX_IS_SHARED ON)
else()
  set(AIOCTX_IS_SHARED OFF)
  target_compile_definitions(aioctx PUBLIC AIO_STATIC_DEFINE)
endif()

# Flags of everything built in this tree; the installed target carries none of them.
add_library(aioctx_flags INTERFACE)
if(CMAKE_C_COMPILER_ID MATCHES "GNU|Clang")
  target_compile_options(aioctx_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes $<$<BOOL:${AIOCTX_WERROR}>:-Werror>)
endif()
if(AIOCTX_SANITIZE)
  target_compile_options(aioctx_flags INTERFACE -fsanitize=${AIOCTX_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(aioctx_flags INTERFACE -fsanitize=${AIOCTX_SANITIZE})
endif()
target_compile_options(aioctx PRIVATE $<TARGET_PROPERTY:aioctx_flags,INTERFACE_COMPILE_OPTIONS>)
target_link_options(aioctx PRIVATE $<TARGET_PROPERTY:aioctx_flags,INTERFACE_LINK_OPTIONS>)
