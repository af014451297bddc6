# Cross-compile for 64-bit Windows with MinGW-w64.
set(CMAKE_SYSTEM_PROCESSOR x86_64)
include(${CMAKE_CURRENT_LIST_DIR}/mingw-w64.cmake)

# Tests run under Wine where it is installed; the prefix is WINEPREFIX's.
find_program(AIOCTX_WINE NAMES wine64 wine PATHS /usr/lib/wine)
mark_as_advanced(AIOCTX_WINE)
if(AIOCTX_WINE)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${CMAKE_CURRENT_LIST_DIR}/../../script/wine-run ${AIOCTX_WINE})
endif()
