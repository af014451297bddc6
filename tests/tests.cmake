# Every test program: one line each.
aioctx_add_tests(version)
aioctx_add_tests(bh LOOP LABELS threads)
