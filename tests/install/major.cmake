# Print the major version that the top CMake file gives: cmake -P major.cmake SOURCE
file(STRINGS ${CMAKE_ARGV3}/CMakeLists.txt line REGEX "^project\\(aioctx VERSION")
string(REGEX REPLACE ".*VERSION ([0-9]+)\\..*" "\\1" major "${line}")
message("${major}")
