# The tests of nbd-server, built for this machine, drive Windows' nbd-server.exe under Wine: what they need of a client is POSIX.
set(native ${PROJECT_BINARY_DIR}/native)
add_test(NAME wine.native COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/nbd_wine.sh --build
  ${PROJECT_SOURCE_DIR} ${native} "-G${CMAKE_GENERATOR}" "-DCMAKE_C_COMPILER_LAUNCHER=${CMAKE_C_COMPILER_LAUNCHER}")
set_tests_properties(wine.native PROPERTIES FIXTURES_SETUP native TIMEOUT 600 SKIP_RETURN_CODE 77)
foreach(name nbd_handshake nbd_protocol nbd_server)
  aioctx_test_names(${CMAKE_CURRENT_SOURCE_DIR}/test_${name}.c tests)
  foreach(test IN LISTS tests)
    foreach(poller IN LISTS AIOCTX_POLLERS)
      set(entry ${name}.${test}@${poller})
      add_test(NAME ${entry} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/nbd_wine.sh
        ${AIOCTX_WINE} $<TARGET_FILE:nbd-server> ${native}/tests/test_${name} --poller ${poller} ${test})
      math(EXPR timeout "60 * ${AIOCTX_TEST_TIMEOUT_SCALE}")
      set_tests_properties(${entry} PROPERTIES TIMEOUT ${timeout} SKIP_RETURN_CODE 77
        FIXTURES_REQUIRED "wine;native" ENVIRONMENT WINEPREFIX=${AIOCTX_WINEPREFIX})
    endforeach()
  endforeach()
endforeach()
