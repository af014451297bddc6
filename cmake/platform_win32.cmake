# The files of Windows, 8 and later.
list(APPEND AIOCTX_PLATFORM_SOURCES
  win32/thread.c win32/cond.c win32/clock.c win32/system.c win32/error.c win32/object.c win32/notifier.c win32/file_io.c
  win32/waiters.c win32/untold.c)
if(AIOCTX_POLLER_PORT)
  list(APPEND AIOCTX_PLATFORM_SOURCES win32/overlapped.c)
else()
  list(APPEND AIOCTX_PLATFORM_SOURCES core/no_overlapped.c)
endif()
aioctx_poller(port AIOCTX_POLLER_PORT win32/poller_port.c win32/port.c win32/afd.c)
aioctx_poller(handle AIOCTX_POLLER_HANDLE win32/poller_handle.c win32/direct_set.c win32/socket_set.c)
aioctx_file_engine(overlapped AIOCTX_POLLER_PORT win32/file_overlapped.c)
set(AIOCTX_NOTIFIER event)
set(AIOCTX_PLATFORM_LIBRARIES ws2_32 ntdll)
set(AIOCTX_PLATFORM_DEFINITIONS __USE_MINGW_ANSI_STDIO=1) # the formats of C99
