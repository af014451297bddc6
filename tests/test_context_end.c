/*
 * Contexts: references and the end.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

static void count(void *opaque)
{
    ++*(int *)opaque;
}

typedef struct Visit {
    AioContext *ctx;
    AioContext *current; /* seen */
    bool home;           /* seen */
    bool progress;       /* seen */
} Visit;

static void end_by_own_callback(void *opaque)
{
    Visit *visit = opaque;
    aio_context_unref(visit->ctx);
    visit->home = aio_context_in_home_thread(visit->ctx); /* still there */
    visit->current = aio_context_current();
}

static void stop_it(void *opaque)
{
    aio_context_stop(opaque);
}

static void poll_it(void *opaque)
{
    aio_poll(opaque, false);
}

static void nest_and_end(void *opaque)
{
    Visit *visit = opaque;
    aio_bh_schedule_oneshot(visit->ctx, end_by_own_callback, visit);
    visit->progress = aio_poll(visit->ctx, true);
    visit->home &= aio_context_in_home_thread(visit->ctx);
}

static void context_ended_by_its_own_callback_lasts_until_the_iteration_ends(void **state)
{
    (void)state;
    unsigned before = fixture_open_handles();
    void (*const ends[])(void *) = {end_by_own_callback, nest_and_end};
    for (size_t i = 0; i < 2; i++) {
        Visit visit = {.ctx = fixture_context()};
        aio_bh_schedule_oneshot(visit.ctx, ends[i], &visit);
        assert_true(aio_poll(visit.ctx, true));
        assert_true(visit.home);
        assert_ptr_equal(visit.current, visit.ctx);
        assert_null(aio_context_current());
        assert_true(fixture_handles_left(before));

        visit = (Visit){.ctx = fixture_context()};
        aio_bh_schedule_oneshot(visit.ctx, ends[i], &visit);
        aio_context_stop(visit.ctx);
        aio_context_run(visit.ctx); /* none: stopped before */
        aio_bh_schedule_oneshot(visit.ctx, stop_it, visit.ctx);
        aio_context_run(visit.ctx);
        assert_true(visit.home);
        assert_true(fixture_handles_left(before));

        visit = (Visit){.ctx = fixture_context()};
        aio_bh_schedule_oneshot(visit.ctx, ends[i], &visit);
        assert_true(aio_prepare(visit.ctx));
        aio_dispatch(visit.ctx);
        assert_true(visit.home);
        assert_true(fixture_handles_left(before));
    }
}

static void references_keep_it(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    for (int i = 0; i < 100; i++) {
        aio_context_ref(ctx);
    }
    for (int i = 0; i < 100; i++) {
        aio_context_unref(ctx);
    }
    assert_false(drive(ctx, false));
    fixture_context_free(ctx);
}

static void end_inside_bh_poll(void *opaque)
{
    (void)opaque;
    AioContext *ctx = fixture_context();
    Visit visit = {.ctx = ctx};
    aio_bh_schedule_oneshot(ctx, end_by_own_callback, &visit);
    aio_bh_poll(ctx);
}

static void end_with_a_timer(void *opaque)
{
    AioContext *ctx = fixture_context();
    AioTimer timer;
    AioClock clock = *(AioClock *)opaque;
    aio_timer_init(ctx, &timer, clock, AIO_SCALE_MS, count, NULL);
    aio_timer_mod(&timer, INT64_MAX);
    aio_context_unref(ctx);
}

static void on_request(void *opaque, int64_t ret)
{
    (void)opaque;
    (void)ret;
}

static void end_with_a_request(void *opaque)
{
    static const AioRequestInfo info = {.size = sizeof(AioRequest)};
    (void)opaque;
    AioContext *ctx = fixture_context();
    aio_context_bind(ctx);
    aio_request_get(&info, ctx, on_request, NULL);
    aio_context_unref(ctx);
}

static atomic_bool inside;

static void linger(void *opaque)
{
    (void)opaque;
    atomic_store(&inside, true);
    fixture_sleep_ms(5000);
}

static void end_while_another_thread_runs_it(void *opaque)
{
    (void)opaque;
    AioContext *ctx = fixture_context();
    aio_bh_schedule_oneshot(ctx, linger, NULL);
    fixture_thread_start(poll_it, ctx);
    while (!atomic_load(&inside)) {
        fixture_yield();
    }
    aio_context_unref(ctx);
}

static void end_of_a_context_in_use_is_fatal_and_says_why(void **state)
{
    (void)state;
    const char *const clocks[] = {"REALTIME", "VIRTUAL", "HOST", "VIRTUAL_RT"};
    assert_true(fixture_dies(end_inside_bh_poll, NULL, "'test' freed by one of its own bottom"));
    for (int i = 0; i < 4; i++) {
        AioClock clock = (AioClock)i;
        char text[100];
        snprintf(text, sizeof(text), "'test' freed with a timer armed on clock %s", clocks[i]);
        assert_true(fixture_dies(end_with_a_timer, &clock, text));
    }
    assert_true(fixture_dies(end_with_a_request, NULL, "'test' freed with 1 requests in flight"));
    assert_true(fixture_dies(end_while_another_thread_runs_it, NULL, "while another thread runs"));
}

static void end_with_a_handler(void *opaque)
{
    (void)opaque;
    AioContext *ctx = fixture_context();
    FixturePair pair = fixture_pair();
    aio_set_fd_handler(ctx, (int)pair.a, false, count, NULL, NULL, NULL);
    aio_context_unref(ctx);
}

static void end_with_a_handler_bound(void *opaque)
{
    (void)opaque;
    AioContext *ctx = fixture_context();
    FixturePair pair = fixture_pair();
    aio_context_bind(ctx);
    aio_set_fd_handler(ctx, (int)pair.a, false, count, NULL, NULL, NULL);
    aio_context_unref(ctx);
}

static void forgotten_handler_is_an_assertion(void **state)
{
    (void)state;
#ifdef NDEBUG
    fixture_skip("asserts are off in this build");
#endif
    assert_true(fixture_aborts(end_with_a_handler_bound, NULL));
    assert_true(fixture_aborts(end_with_a_handler, NULL));
}

typedef struct Handlers {
    AioContext *ctx;
    FixturePair pair;
} Handlers;

static void register_and_poll(void *opaque)
{
    Handlers *handlers = opaque;
    aio_set_fd_handler(handlers->ctx, (int)handlers->pair.a, false, count, NULL, NULL, NULL);
    aio_poll(handlers->ctx, false);
}

static void handler_removed_by_the_thread_that_ends_the_context_is_removed(void **state)
{
    (void)state;
    Handlers handlers = {.ctx = fixture_context(), .pair = fixture_pair()};
    fixture_thread_join(fixture_thread_start(register_and_poll, &handlers));
    /* Its home is gone, so nobody applies this before the end does. */
    aio_set_fd_handler(handlers.ctx, (int)handlers.pair.a, false, NULL, NULL, NULL, NULL);
    aio_context_unref(handlers.ctx);
    fixture_pair_close(&handlers.pair);
}

typedef struct Waker {
    AioContext *ctx;
    bool stop; /* or notify */
} Waker;

static void stop_or_notify(void *opaque)
{
    Waker *waker = opaque;
    if (waker->stop) {
        aio_context_stop(waker->ctx);
    } else {
        aio_notify(waker->ctx);
    }
}

static void context_outlives_a_stop_or_notify_that_ends_it(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3000 * fixture_long(); i++) {
        Waker waker = {.ctx = fixture_context(), .stop = i % 2};
        FixtureThread *thread = fixture_thread_start(stop_or_notify, &waker);
        if (waker.stop) {
            aio_context_run(waker.ctx);
        } else {
            assert_false(aio_poll(waker.ctx, true));
        }
        aio_context_unref(waker.ctx); /* the thread may be inside still */
        fixture_thread_join(thread);
    }
}

static void ten_thousand_contexts_leave_nothing(void **state)
{
    (void)state;
    int calls = 0;
    unsigned handles = fixture_open_handles();
    size_t memory = 0;
    for (int i = 0; i < 10000; i++) {
        AioContext *ctx = fixture_context();
        aio_bh_schedule_oneshot(ctx, count, &calls);
        aio_poll(ctx, true);
        aio_context_unref(ctx);
        if (i == 100) {
            memory = fixture_memory_in_use();
        }
    }
    assert_int_equal(calls, 10000);
    assert_true(fixture_handles_left(handles));
    assert_true(fixture_memory_in_use() < memory + 100000);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(context_ended_by_its_own_callback_lasts_until_the_iteration_ends),
    cmocka_unit_test(references_keep_it),
    cmocka_unit_test(end_of_a_context_in_use_is_fatal_and_says_why),
    cmocka_unit_test(forgotten_handler_is_an_assertion),
    cmocka_unit_test(handler_removed_by_the_thread_that_ends_the_context_is_removed),
    cmocka_unit_test(context_outlives_a_stop_or_notify_that_ends_it),
    cmocka_unit_test(ten_thousand_contexts_leave_nothing),
};
TEST_MAIN(tests)
