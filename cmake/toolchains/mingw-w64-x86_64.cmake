# Cross-compile for 64-bit Windows with MinGW-w64's gcc, POSIX threads flavour (its thread-locals work in fibers).
# The runtimes of the compiler are linked statically: programs need no DLL beyond those of Windows.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_C_COMPILER x86_64-w64-mingw32-gcc-posix)
set(CMAKE_CXX_COMPILER x86_64-w64-mingw32-g++-posix)
set(CMAKE_RC_COMPILER x86_64-w64-mingw32-windres)
set(CMAKE_EXE_LINKER_FLAGS_INIT "-static")
set(CMAKE_SHARED_LINKER_FLAGS_INIT "-static")
list(APPEND CMAKE_FIND_ROOT_PATH /usr/x86_64-w64-mingw32)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

# Tests run under Wine where it is installed; the prefix is WINEPREFIX's. In the locale C, Wine can't name files beyond ASCII.
find_program(AIOCTX_WINE NAMES wine64 wine PATHS /usr/lib/wine)
mark_as_advanced(AIOCTX_WINE)
if(AIOCTX_WINE)
  set(CMAKE_CROSSCOMPILING_EMULATOR /usr/bin/env WINEDEBUG=-all LC_ALL=C.UTF-8 ${AIOCTX_WINE})
endif()
