/*
 * Memory refused at every request that making a context consists of: it fails cleanly, or what comes out works.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

#include <errno.h>

#include "core/alloc.h"
#include "core/context.h"

static void count(void *opaque)
{
    ++*(int *)opaque;
}

static void schedule_later(void *opaque)
{
    fixture_sleep_ms(2);
    aio_bh_schedule(opaque);
}

/* A context that looks whole may be deaf: wake it, and have it serve a handler. */
static void check_that_it_works(AioContext *ctx)
{
    int calls = 0, reads = 0;
    FixturePair pair = fixture_pair();
    AioBh *bh = aio_bh_new(ctx, count, &calls);
    FixtureThread *thread = fixture_thread_start(schedule_later, bh);
    assert_true(aio_poll(ctx, true));
    assert_int_equal(calls, 1);
    fixture_thread_join(thread);
    aio_set_fd_handler(ctx, (int)pair.a, false, count, NULL, NULL, &reads);
    fixture_write(pair.b, "?", 1);
    assert_true(aio_poll(ctx, true));
    assert_int_equal(reads, 1);
    aio_set_fd_handler(ctx, (int)pair.a, false, NULL, NULL, NULL, NULL);
    aio_bh_delete(bh);
    fixture_pair_close(&pair);
    assert_null(aio_context_take_error(ctx));
}

/* Returns how many requests there are to refuse. */
static unsigned sweep(const AioContextOptions *options, unsigned *fallbacks)
{
    unsigned handles = fixture_open_handles();
    for (unsigned n = 1;; n++) {
        AioError *error = NULL;
        assert_true(n < 1000);
        aio__alloc_fail_at(n);
        AioContext *ctx = aio_context_new_with_options(options, &error);
        bool refused = aio__alloc_failed();
        aio__alloc_fail_at(0);
        if (ctx) {
            assert_null(error);
            AioContextInfo info = {.size = sizeof(info)};
            aio_context_info(ctx, &info);
            if (*info.pollers_refused) {
                ++*fallbacks;
                assert_non_null(strstr(info.pollers_refused, aio__pollers[0]->name));
                assert_non_null(strstr(info.pollers_refused, "(12)"));
            }
            check_that_it_works(ctx);
            aio_context_unref(ctx);
        } else {
            assert_non_null(error);
            assert_int_equal(aio_error_code(error), ENOMEM);
            aio_error_free(error);
        }
        assert_true(fixture_handles_left(handles));
        if (!refused) {
            assert_non_null(ctx);
            return n - 1;
        }
    }
}

static void context_is_whole_or_not_made_whichever_request_is_refused(void **state)
{
    (void)state;
    unsigned fallbacks = 0;
    AioContextOptions options = {
        .size = sizeof(options), .poller = fixture_poller(), .name = "frugal"};
    assert_true(sweep(&options, &fallbacks) >= 4);
    assert_int_equal(fallbacks, 0); /* one that is named is not replaced */
}

static void context_falls_back_to_another_poller_and_says_why(void **state)
{
    (void)state;
    unsigned fallbacks = 0;
    assert_true(sweep(NULL, &fallbacks) >= 4);
    if (!aio__pollers[1]) {
        fixture_skip("this build has one poller only");
    }
    assert_true(fallbacks >= 1);
}

static void context_without_any_memory_is_an_error(void **state)
{
    (void)state;
    AioError *error = NULL;
    aio__alloc_refuse_all(true);
    AioContext *ctx = aio_context_new(&error);
    aio__alloc_refuse_all(false);
    assert_null(ctx);
    assert_int_equal(aio_error_code(error), ENOMEM);
    aio_error_free(error);
}

static void bottom_half_without_memory_is_an_error(AioContext *ctx)
{
    int calls = 0;
    AioError *error = NULL;
    aio__alloc_fail_at(1);
    assert_null(aio_bh_new(ctx, count, &calls));
    aio__alloc_fail_at(1);
    assert_null(aio_bh_new_full(ctx, count, &calls, "frugal", NULL, &error));
    assert_int_equal(aio_error_code(error), ENOMEM);
    assert_non_null(strstr(aio_error_message(error), "frugal"));
    aio_error_free(error);
    error = NULL;
    aio__alloc_fail_at(1);
    assert_false(aio_bh_oneshot(ctx, count, &calls, "frugal", &error));
    assert_int_equal(aio_error_code(error), ENOMEM);
    aio_error_free(error);
    aio__alloc_fail_at(1);
    aio_bh_schedule_oneshot(ctx, count, &calls); /* has no way to say so */
    aio__alloc_fail_at(0);
    error = aio_context_take_error(ctx);
    assert_non_null(error);
    assert_int_equal(aio_error_code(error), ENOMEM);
    aio_error_free(error);
    assert_false(drive(ctx, false));
    assert_int_equal(calls, 0);
}

static void nothing_is_allocated_where_it_is_used_all_the_time(AioContext *ctx)
{
    int calls = 0, reads = 0, ticks = 0;
    FixturePair pair = fixture_pair();
    AioTimer timer;
    AioBh *bh = aio_bh_new(ctx, count, &calls);
    aio_set_fd_handler(ctx, (int)pair.a, false, count, NULL, NULL, &reads);
    aio_timer_init(ctx, &timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS, count, &ticks);
    fixture_write(pair.b, "?", 1);
    for (int i = 0; i < 3; i++) { /* the first arming may make room */
        aio__alloc_refuse_all(i > 0);
        aio_bh_schedule(bh);
        aio_timer_mod(&timer, 0);
        aio_notify(ctx);
        bool progress = aio_poll(ctx, false);
        aio_bh_schedule_idle(bh);
        aio_poll(ctx, false);
        bool refused = aio__alloc_failed();
        aio__alloc_refuse_all(false);
        assert_true(progress);
        assert_false(refused);
        assert_int_equal(calls, 2 * (i + 1));
        assert_int_equal(reads, 2 * (i + 1));
        assert_int_equal(ticks, i + 1);
    }
    aio_set_fd_handler(ctx, (int)pair.a, false, NULL, NULL, NULL, NULL);
    aio_bh_delete(bh);
    fixture_pair_close(&pair);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(context_is_whole_or_not_made_whichever_request_is_refused),
    cmocka_unit_test(context_falls_back_to_another_poller_and_says_why),
    cmocka_unit_test(context_without_any_memory_is_an_error),
    cmocka_unit_test_home(bottom_half_without_memory_is_an_error),
    cmocka_unit_test_home(nothing_is_allocated_where_it_is_used_all_the_time),
};
TEST_MAIN(tests)
