/*
 * Ended coroutines kept for the next, and many of them, in one thread and in several.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/co_help.h"

static void run_many_alive(unsigned count)
{
    AioCoroutine **cos = calloc(count, sizeof(AioCoroutine *));
    for (unsigned i = 0; i < count; i++) {
        cos[i] = co_make(co_nothing, NULL);
    }
    for (unsigned i = 0; i < count; i++) {
        aio_co_resume(cos[i]);
    }
    free(cos);
}

static void the_pool_is_bounded_for_the_whole_process(void **state)
{
    (void)state;
    AioError *error = NULL;
    unsigned before = fixture_maps();
    if (before == 0) {
        fixture_skip("maps can't be counted here");
    }
    run_many_alive(2000);
    assert_true(fixture_maps() <= before + 2 * 256 + 64);
    assert_true(aio_co_pool_set_max(3, &error));
    assert_true(fixture_maps() <= before + 2 * 3 + 64);
    run_many_alive(500);
    assert_true(fixture_maps() <= before + 2 * 3 + 64);
    assert_true(aio_co_pool_set_max(0, &error));
    run_many_alive(500);
    assert_true(fixture_maps() <= before + 64);
    assert_null(error);
}

static void sizes_of_the_pool_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const int bad[] = {-1, 16385, INT32_MAX};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        AioError *error = NULL;
        assert_false(aio_co_pool_set_max(bad[i], &error));
        assert_non_null(strstr(aio_error_message(error), i == 0   ? "-1"
                                                         : i == 1 ? "16385"
                                                                  : "2147483647"));
        aio_error_free(error);
    }
    assert_true(aio_co_pool_set_max(16384, NULL));
    assert_true(aio_co_pool_set_max(256, NULL));
}

typedef struct Half {
    AioCoroutine **cos;
    unsigned count;
} Half;

static void end_a_half(void *opaque)
{
    Half *half = opaque;
    for (unsigned i = 0; i < half->count; i++) {
        aio_co_resume(half->cos[i]);
    }
}

static void yield_once(void *opaque)
{
    (void)opaque;
    aio_co_yield();
}

static void many_idle_ones_end_in_other_threads_or_are_refused(void **state)
{
    (void)state;
#if defined(UNDER_TSAN)
    const unsigned wanted = 2000; /* its fibers are few */
#elif defined(_WIN32)
    const unsigned wanted = 10000; /* Wine ends the program where memory is refused to itself */
#elif defined(UNDER_ASAN)
    const unsigned wanted = 10000; /* it ends the program where memory is refused to itself */
#else
    const unsigned wanted = 50000;
#endif
    unsigned before = fixture_maps();
    AioCoroutine **cos = calloc(wanted, sizeof(AioCoroutine *));
    unsigned made = 0;
    AioError *error = NULL;
    while (made < wanted && (cos[made] = aio_co_create_full(yield_once, NULL, &error))) {
        made++;
    }
    if (made < wanted) {
        print_message("%u made, then: %s\n", made, aio_error_message(error));
        assert_true(made > 10000);
        assert_int_equal(aio_error_code(error), 12 /* ENOMEM */);
        aio_error_free(error);
        made -= 1000; /* leave room for what the test itself maps */
        for (unsigned i = made; i < made + 1000; i++) {
            aio_co_discard(cos[i]);
        }
    }
    for (unsigned i = 0; i < made; i++) {
        aio_co_resume(cos[i]);
    }
    Half halves[2] = {{cos, made / 2}, {cos + made / 2, made - made / 2}};
    FixtureThread *threads[2];
    for (int i = 0; i < 2; i++) {
        threads[i] = fixture_thread_start(end_a_half, &halves[i]);
    }
    for (int i = 0; i < 2; i++) {
        fixture_thread_join(threads[i]);
    }
    free(cos);
    if (before) {
        assert_true(fixture_maps() <= before + 2 * 256 + 128);
    }
}

static void create_run_and_end(void *opaque)
{
    unsigned *done = opaque;
    unsigned rounds = 300 * fixture_long();
    for (unsigned i = 0; i < rounds; i++) {
        int count = 0;
        AioCoroutine *cos[5];
        for (int j = 0; j < 5; j++) {
            cos[j] = aio_co_create(co_count_to_three, &count);
        }
        for (int j = 0; j < 5 * 4; j++) {
            aio_co_resume(cos[j % 5]);
        }
        *done += count == 20;
    }
}

static void threads_create_and_end_coroutines_at_once(void **state)
{
    (void)state;
    enum { THREADS = 8 };
    FixtureThread *threads[THREADS];
    unsigned done[THREADS] = {0};
    for (int i = 0; i < THREADS; i++) {
        threads[i] = fixture_thread_start(create_run_and_end, &done[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        fixture_thread_join(threads[i]);
        assert_int_equal(done[i], 300 * fixture_long());
    }
}

/* Ends, and is freed, in the hands of another: whoever resumes it in between must not look back. */
static void hand_over(void *opaque)
{
    AioCoroutine **to = opaque;
    *to = aio_co_self();
    aio_co_yield();
}

static void finish_other(void *opaque)
{
    AioCoroutine **co = opaque;
    aio_co_resume(*co);
}

static void wake_finisher(void *opaque)
{
    AioCoroutine **pair = opaque;
    pair[0] = aio_co_self();
    aio_co_wake(pair[1]);
    aio_co_yield();
}

static void nothing_of_a_coroutine_is_read_after_it_was_left(void **state)
{
    (void)state;
    assert_true(aio_co_pool_set_max(0, NULL));
    /* Finished and freed by the one that it woke, before control is back with the first enterer. */
    AioCoroutine *pair[2];
    pair[1] = co_make(finish_other, &pair[0]);
    aio_co_resume(co_make(wake_finisher, pair));
    /* The same through another thread. */
    AioCoroutine *left = NULL;
    aio_co_resume(co_make(hand_over, &left));
    fixture_thread_join(fixture_thread_start(finish_other, &left));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_pool_is_bounded_for_the_whole_process),
    cmocka_unit_test(sizes_of_the_pool_that_make_no_sense_are_refused),
    cmocka_unit_test(many_idle_ones_end_in_other_threads_or_are_refused),
    cmocka_unit_test(threads_create_and_end_coroutines_at_once),
    cmocka_unit_test(nothing_of_a_coroutine_is_read_after_it_was_left),
};
TEST_MAIN(tests)
