# Every test program: one line each.
aioctx_add_tests(version)
aioctx_add_tests(bh LOOP LABELS threads)
aioctx_add_tests(request LOOP)
aioctx_add_tests(thread_pool LOOP LABELS threads)
