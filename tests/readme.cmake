# Whether README.md shows this program as it is: cmake -DREADME=file -DPROGRAM=file -P readme.cmake
file(READ ${README} readme)
file(READ ${PROGRAM} program)
string(REGEX REPLACE "^.*clang-format off \\*/\n" "" program "${program}")
string(FIND "${readme}" "```c\n${program}```" found)
if(found EQUAL -1)
  message(FATAL_ERROR "${PROGRAM} is not the program of ${README}")
endif()
