# Chooses the files of this system. The order of the aioctx_poller() lines is the rank of the pollers.
include(CheckSymbolExists)

set(AIOCTX_PLATFORM_SOURCES posix/thread.c posix/cond.c posix/clock.c posix/stack.c posix/system.c posix/file_io.c
  posix/notifier.c)
set(AIOCTX_POLLERS)
macro(aioctx_poller name option)
  if(${option})
    list(APPEND AIOCTX_POLLERS ${name})
    list(APPEND AIOCTX_PLATFORM_SOURCES ${ARGN})
  endif()
endmacro()

if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
  aioctx_poller(epoll AIOCTX_POLLER_EPOLL linux/poller_epoll.c linux/epoll_set.c linux/epoll_sleep.c linux/slots.c)
endif()
aioctx_poller(poll AIOCTX_POLLER_POLL posix/poller_poll.c posix/poll_set.c)
if(NOT AIOCTX_POLLERS)
  message(FATAL_ERROR "No poller is enabled: turn on one of AIOCTX_POLLER_*")
endif()

if(CMAKE_SYSTEM_NAME STREQUAL "Linux" AND AIOCTX_EVENTFD)
  list(APPEND AIOCTX_PLATFORM_SOURCES linux/eventfd.c)
  set(AIOCTX_NOTIFIER "eventfd, or pipe")
else()
  list(APPEND AIOCTX_PLATFORM_SOURCES posix/eventfd_none.c)
  set(AIOCTX_NOTIFIER pipe)
endif()

if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
  list(APPEND AIOCTX_PLATFORM_SOURCES linux/system.c linux/file_extra.c)
else()
  list(APPEND AIOCTX_PLATFORM_SOURCES posix/system_generic.c posix/file_extra_generic.c)
endif()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64|i[3-6]86|x86)$")
  list(APPEND AIOCTX_PLATFORM_SOURCES posix/relax_x86.c)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$" AND CMAKE_SIZEOF_VOID_P EQUAL 8)
  list(APPEND AIOCTX_PLATFORM_SOURCES posix/relax_aarch64.c)
else()
  list(APPEND AIOCTX_PLATFORM_SOURCES posix/relax_generic.c)
endif()

set(CMAKE_REQUIRED_DEFINITIONS -D_GNU_SOURCE)
check_symbol_exists(ppoll poll.h AIOCTX_HAVE_PPOLL)
unset(CMAKE_REQUIRED_DEFINITIONS)
if(AIOCTX_HAVE_PPOLL)
  list(APPEND AIOCTX_PLATFORM_SOURCES posix/wait_ppoll.c)
else()
  list(APPEND AIOCTX_PLATFORM_SOURCES posix/wait_poll.c)
endif()

include(cmake/coroutine.cmake) # sets AIOCTX_CO_SOURCES and AIOCTX_CO_CHECK

# The candidate list: no core file knows a poller's name.
set(AIOCTX_POLLER_EXTERNS "")
set(AIOCTX_POLLER_ENTRIES "")
foreach(poller IN LISTS AIOCTX_POLLERS)
  string(APPEND AIOCTX_POLLER_EXTERNS "extern const AioPollerOps aio__poller_${poller};\n")
  string(APPEND AIOCTX_POLLER_ENTRIES "    &aio__poller_${poller},\n")
endforeach()
configure_file(cmake/pollers.c.in ${CMAKE_CURRENT_BINARY_DIR}/pollers.c @ONLY)
set(AIOCTX_GENERATED_SOURCES ${CMAKE_CURRENT_BINARY_DIR}/pollers.c)
