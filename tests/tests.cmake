# Every test program: one line each.
aioctx_add_tests(version)
aioctx_add_tests(bh LOOP LABELS threads)
aioctx_add_tests(request LOOP)
aioctx_add_tests(thread_pool LOOP LABELS threads)
aioctx_add_tests(thread_pool_inside LOOP PRIVATE LABELS threads)
aioctx_add_tests(file LOOP LABELS threads)
aioctx_add_tests(file_engine LOOP PRIVATE LABELS threads SOURCES fake_engine.c)
