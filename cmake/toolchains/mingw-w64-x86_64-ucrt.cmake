# As mingw-w64-x86_64.cmake, with the universal C library (UCRT) of Windows 10 instead of MSVCRT. Debian's compiler is made
# for the latter: it is told otherwise by a specs file, and its thread library, which asks for _setjmp, gets what
# the other one has of that.
include(${CMAKE_CURRENT_LIST_DIR}/mingw-w64-x86_64.cmake)
set(specs ${CMAKE_BINARY_DIR}/ucrt.specs)
if(NOT EXISTS ${specs})
  execute_process(COMMAND ${CMAKE_C_COMPILER} -dumpspecs COMMAND sed s/-lmsvcrt/-lucrt/g OUTPUT_FILE ${specs}
    COMMAND_ERROR_IS_FATAL ANY)
endif()
set(CMAKE_C_FLAGS_INIT "-specs=${specs} -D_UCRT")
set(CMAKE_CXX_FLAGS_INIT "${CMAKE_C_FLAGS_INIT}")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-static -Wl,-u,__intrinsic_setjmp,--defsym=_setjmp=__intrinsic_setjmp")
set(CMAKE_SHARED_LINKER_FLAGS_INIT "${CMAKE_EXE_LINKER_FLAGS_INIT}")
