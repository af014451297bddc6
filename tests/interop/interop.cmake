# A client that is Windows' own, node.exe under Wine, talks to the echo server of Linux and to that of Windows. What nbd_wine.cmake
# builds for this machine includes the former.
set(AIOCTX_NODE_ROOT "${PROJECT_BINARY_DIR}/node" CACHE PATH "Where tests/interop/node keeps node.exe")
set(script ${CMAKE_CURRENT_LIST_DIR}/node)
add_test(NAME interop.node_exe COMMAND ${script} --get ${AIOCTX_NODE_ROOT})
set_tests_properties(interop.node_exe PROPERTIES FIXTURES_SETUP node TIMEOUT 300 SKIP_RETURN_CODE 77)
set(tests)
foreach(poller IN LISTS AIOCTX_POLLERS)
  add_test(NAME interop.windows_client_of_windows_server@${poller}
    COMMAND ${script} ${AIOCTX_NODE_ROOT} ${AIOCTX_WINE} ${AIOCTX_WINE} $<TARGET_FILE:echo-server>)
  set_tests_properties(interop.windows_client_of_windows_server@${poller} PROPERTIES
    ENVIRONMENT "WINEPREFIX=${AIOCTX_WINEPREFIX};AIOCTX_POLLER=${poller}")
  list(APPEND tests interop.windows_client_of_windows_server@${poller})
endforeach()
add_test(NAME interop.windows_client_of_linux_server
  COMMAND ${script} ${AIOCTX_NODE_ROOT} ${AIOCTX_WINE} ${PROJECT_BINARY_DIR}/native/examples/echo-server)
set_tests_properties(interop.windows_client_of_linux_server PROPERTIES ENVIRONMENT WINEPREFIX=${AIOCTX_WINEPREFIX})
set_tests_properties(${tests} interop.windows_client_of_linux_server PROPERTIES
  TIMEOUT 120 SKIP_RETURN_CODE 77 FIXTURES_REQUIRED "wine;native;node")
