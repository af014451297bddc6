# Every test program: one line each.
aioctx_add_tests(version)
