# Chooses the files of this system. The order of the aioctx_poller() lines is the rank of the pollers, that of the
# aioctx_file_engine() lines the rank of the file engines.

set(AIOCTX_PLATFORM_SOURCES)
set(AIOCTX_PLATFORM_LIBRARIES)
set(AIOCTX_PLATFORM_DEFINITIONS)
set(AIOCTX_POLLERS)
set(AIOCTX_FILE_ENGINES)
# One more of a list, with its sources, where its option is on.
macro(aioctx_candidate list name option)
  if(${option})
    list(APPEND ${list} ${name})
    list(APPEND AIOCTX_PLATFORM_SOURCES ${ARGN})
  endif()
endmacro()
macro(aioctx_poller)
  aioctx_candidate(AIOCTX_POLLERS ${ARGN})
endmacro()
macro(aioctx_file_engine)
  aioctx_candidate(AIOCTX_FILE_ENGINES ${ARGN})
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

# The candidate lists as sources: no core file knows a poller's name, or that of an engine of some systems.
function(aioctx_generate_candidates kind type names)
  set(externs "")
  set(entries "")
  foreach(name IN LISTS names)
    string(APPEND externs "extern const ${type} aio__${kind}_${name};\n")
    string(APPEND entries "    &aio__${kind}_${name},\n")
  endforeach()
  configure_file(cmake/candidates.c.in ${CMAKE_CURRENT_BINARY_DIR}/${kind}s.c @ONLY)
endfunction()
aioctx_generate_candidates(poller AioPollerOps "${AIOCTX_POLLERS}")
aioctx_generate_candidates(file_engine AioFileEngineOps "${AIOCTX_FILE_ENGINES}")
set(AIOCTX_GENERATED_SOURCES ${CMAKE_CURRENT_BINARY_DIR}/pollers.c ${CMAKE_CURRENT_BINARY_DIR}/file_engines.c)
