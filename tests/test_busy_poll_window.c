/*
 * The window of adaptive busy-polling: its rule, and its parameters.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/busy_source.h"

#include <errno.h>

typedef struct Rule {
    int64_t window, blocked, max, grow, shrink, expected;
} Rule;

static void window_follows_the_rule(void **state)
{
    (void)state;
    static const Rule rules[] = {
        /* blocked no longer than the window: keep */
        {.window = 8000, .blocked = 8000, .max = 32000, .expected = 8000},
        {.window = 8000, .blocked = 0, .max = 32000, .expected = 8000},
        {.window = 0, .blocked = 0, .max = 32000, .expected = 0},
        {.window = 32000, .blocked = 32000, .max = 32000, .expected = 32000},
        /* longer than the maximum: shrink */
        {.window = 8000, .blocked = 32001, .max = 32000, .expected = 0},
        {.window = 8000, .blocked = 32001, .max = 32000, .shrink = 2, .expected = 4000},
        {.window = 8001, .blocked = 32001, .max = 32000, .shrink = 2, .expected = 4000},
        {.window = 8000, .blocked = 32001, .max = 32000, .shrink = 1, .expected = 8000},
        {.window = 1, .blocked = 32001, .max = 32000, .shrink = 3, .expected = 0},
        {.window = 0, .blocked = 32001, .max = 32000, .shrink = 2, .expected = 0},
        {.window = 32000, .blocked = INT64_MAX, .max = 32000, .expected = 0},
        /* between the two: grow */
        {.window = 0, .blocked = 1, .max = 32000, .expected = 4000},
        {.window = 0, .blocked = 31999, .max = 32000, .grow = 7, .expected = 4000},
        {.window = 4000, .blocked = 4001, .max = 32000, .expected = 8000},
        {.window = 4000, .blocked = 31999, .max = 32000, .expected = 8000},
        {.window = 4000, .blocked = 4001, .max = 32000, .grow = 3, .expected = 12000},
        {.window = 4000, .blocked = 4001, .max = 32000, .grow = 1, .expected = 4000},
        {.window = 20000, .blocked = 20001, .max = 32000, .expected = 32000},
        {.window = 16000, .blocked = 16001, .max = 32000, .expected = 32000},
        {.window = 4000, .blocked = 4001, .max = 32000, .grow = INT64_MAX, .expected = 32000},
        {.window = INT64_MAX / 2 + 2,
         .blocked = INT64_MAX - 1,
         .max = INT64_MAX,
         .expected = INT64_MAX},
        {.window = 0, .blocked = 1, .max = 3000, .expected = 3000},
        /* exactly the maximum: neither */
        {.window = 4000, .blocked = 32000, .max = 32000, .shrink = 2, .expected = 4000},
        {.window = 0, .blocked = 32000, .max = 32000, .expected = 0},
    };
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        const Rule *r = &rules[i];
        int64_t next =
            aio__busy_poll_next_window(r->window, r->blocked, r->max, r->grow, r->shrink);
        if (next != r->expected) {
            print_error("rule %d gives %g\n", (int)i, (double)next);
        }
        assert_int_equal(next, r->expected);
    }
}

static void window_grows_with_short_waits_and_goes_with_long_ones(AioContext *ctx)
{
    AioTimer timer;
    int calls = 0;
    aio_context_set_poll_params(ctx, 3600 * SECOND, 0, 0, NULL);
    aio_timer_init(ctx, &timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS, count, &calls);
    int64_t before = window_of(ctx);
    assert_int_equal(before, 0);
    for (int i = 0; i < 8; i++) {
        int64_t next = before ? before * 2 : 4000;
        /* Each wait is longer than the window, and shorter than an hour; unless somebody else had the processor
         * before it began: then the window is kept, and the wait is tried again. */
        for (int tries = 0; window_of(ctx) == before && tries < 100; tries++) {
            aio_timer_mod(&timer, aio_clock_get_ns(AIO_CLOCK_REALTIME) + before * 4 + 100000);
            assert_true(aio_poll(ctx, true));
        }
        assert_int_equal(window_of(ctx), next);
        before = next;
    }
    aio_timer_mod(&timer, 0);
    assert_true(aio_poll(ctx, true)); /* no wait at all: kept */
    assert_int_equal(window_of(ctx), before);
    aio_context_set_poll_params(ctx, 50000, 0, 0, NULL);
    assert_int_equal(window_of(ctx), 0);
    aio_timer_mod(&timer, aio_clock_get_ns(AIO_CLOCK_REALTIME) + 50000000);
    assert_true(aio_poll(ctx, true)); /* too long */
    assert_int_equal(window_of(ctx), 0);
}

static void parameters_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    const int64_t wrong[][3] = {{-1, 0, 0}, {1000, -1, 0}, {1000, 0, -1}, {INT64_MIN, -1, -1}};
    fix_window(ctx, 8000);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        AioError *error = NULL;
        aio_context_set_poll_params(ctx, wrong[i][0], wrong[i][1], wrong[i][2], &error);
        assert_non_null(error);
        assert_int_equal(aio_error_code(error), EINVAL);
        aio_error_free(error);
        assert_int_equal(window_of(ctx), 8000);
    }
    aio_context_set_poll_params(ctx, 16000, 0, 0, NULL); /* anew from nothing, seen at once */
    assert_int_equal(window_of(ctx), 0);
    atomic_store(&ctx->busy.window_ns, 8000); /* by a loop that is at it at this moment */
    aio__busy_poll_clock(ctx);
    assert_int_equal(window_of(ctx), 0);
    fixture_context_free(ctx);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(window_follows_the_rule),
    cmocka_unit_test_home(window_grows_with_short_waits_and_goes_with_long_ones),
    cmocka_unit_test(parameters_that_make_no_sense_are_refused),
};
TEST_MAIN(tests)
