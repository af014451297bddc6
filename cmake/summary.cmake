# What was chosen, at the end of the configuration.
message(STATUS "aioctx ${PROJECT_VERSION}")
string(REPLACE ";" " " pollers_text "${AIOCTX_POLLERS}")
message(STATUS "  pollers, best first: ${pollers_text}")
message(STATUS "  notifier:            ${AIOCTX_NOTIFIER}")
message(STATUS "  coroutines:          ${AIOCTX_CO_BACKEND_USED}")
message(STATUS "  shared library:      ${BUILD_SHARED_LIBS}")
message(STATUS "  tests/examples/bench: ${AIOCTX_BUILD_TESTS}/${AIOCTX_BUILD_EXAMPLES}/${AIOCTX_BUILD_BENCH}")
unset(pollers_text)
