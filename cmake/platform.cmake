# Chooses the files of this system. The order of the aioctx_poller() lines is the rank of the pollers, that of the
# aioctx_file_engine() lines the rank of the file engines.

set(AIOCTX_PLATFORM_SOURCES)
set(AIOCTX_PLATFORM_LIBRARIES)
set(AIOCTX_PLATFORM_DEFINITIONS)
set(AIOCTX_POLLERS)
macro(aioctx_poller name option)
  if(${option})
    list(APPEND AIOCTX_POLLERS ${name})
    list(APPEND AIOCTX_PLATFORM_SOURCES ${ARGN})
  endif()
endmacro()
set(AIOCTX_FILE_ENGINES)
macro(aioctx_file_engine name option)
  if(${option})
    list(APPEND AIOCTX_FILE_ENGINES ${name})
    list(APPEND AIOCTX_PLATFORM_SOURCES ${ARGN})
  endif()
endmacro()

if(WIN32)
  include(cmake/platform_win32.cmake)
else()
  include(cmake/platform_posix.cmake)
endif()
if(NOT AIOCTX_POLLERS)
  message(FATAL_ERROR "No poller is enabled: turn on one of AIOCTX_POLLER_*")
endif()

include(cmake/coroutine.cmake) # sets AIOCTX_CO_SOURCES and AIOCTX_CO_CHECK

list(APPEND AIOCTX_FILE_ENGINES pool) # of core, and refused by no context

# The candidate lists: no core file knows a poller's name, or that of an engine of some systems.
set(AIOCTX_POLLER_EXTERNS "")
set(AIOCTX_POLLER_ENTRIES "")
foreach(poller IN LISTS AIOCTX_POLLERS)
  string(APPEND AIOCTX_POLLER_EXTERNS "extern const AioPollerOps aio__poller_${poller};\n")
  string(APPEND AIOCTX_POLLER_ENTRIES "    &aio__poller_${poller},\n")
endforeach()
configure_file(cmake/pollers.c.in ${CMAKE_CURRENT_BINARY_DIR}/pollers.c @ONLY)
set(AIOCTX_FILE_ENGINE_EXTERNS "")
set(AIOCTX_FILE_ENGINE_ENTRIES "")
foreach(engine IN LISTS AIOCTX_FILE_ENGINES)
  string(APPEND AIOCTX_FILE_ENGINE_EXTERNS "extern const AioFileEngineOps aio__file_engine_${engine};\n")
  string(APPEND AIOCTX_FILE_ENGINE_ENTRIES "    &aio__file_engine_${engine},\n")
endforeach()
configure_file(cmake/file_engines.c.in ${CMAKE_CURRENT_BINARY_DIR}/file_engines.c @ONLY)
set(AIOCTX_GENERATED_SOURCES ${CMAKE_CURRENT_BINARY_DIR}/pollers.c ${CMAKE_CURRENT_BINARY_DIR}/file_engines.c)
