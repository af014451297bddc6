/*
 * Contexts: running and stopping, keeping quiet, errors, and what they tell of themselves.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

#include <errno.h>

static void count(void *opaque)
{
    ++*(int *)opaque;
}

static AioContextInfo info_of(AioContext *ctx)
{
    AioContextInfo info = {.size = sizeof(info)};
    aio_context_info(ctx, &info);
    return info;
}

static void stop_it(void *opaque)
{
    aio_context_stop(opaque);
}

static void stop_ends_run_after_the_iteration(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    int calls = 0;
    aio_bh_schedule_oneshot(ctx, stop_it, ctx);
    aio_bh_schedule_oneshot(ctx, count, &calls);
    aio_context_run(ctx);
    assert_int_equal(calls, 1);
    aio_context_stop(ctx); /* before: the next one returns at once */
    aio_bh_schedule_oneshot(ctx, count, &calls);
    aio_context_run(ctx);
    assert_int_equal(calls, 1);
    fixture_context_free(ctx); /* runs it */
    assert_int_equal(calls, 2);
}

static void stop_later(void *opaque)
{
    fixture_sleep_ms(10);
    aio_context_stop(opaque);
}

/* Runs inside runs: one starts the next until the wanted depth, and the innermost says so. */
typedef struct Nested {
    AioContext *ctx;
    int depth; /* of runs still to start, each inside the other */
    void (*at_the_bottom)(void *opaque);
    void *arg;
    int ended;
    int later; /* calls that the stop came before */
} Nested;

static void run_nested(void *opaque)
{
    Nested *nested = opaque;
    if (nested->depth-- > 0) {
        aio_bh_schedule_oneshot(nested->ctx, run_nested, nested);
        aio_context_run(nested->ctx);
        nested->ended++;
    } else {
        nested->at_the_bottom(nested->arg);
    }
}

static void stop_ends_every_run_of_the_context(void **state)
{
    (void)state;
    Nested nested = {.ctx = fixture_context(), .depth = 3, .at_the_bottom = stop_it};
    nested.arg = nested.ctx;
    run_nested(&nested);
    assert_int_equal(nested.ended, 3);
    /* It ended these, and no later one. */
    aio_bh_schedule_oneshot(nested.ctx, count, &nested.later);
    aio_bh_schedule_oneshot(nested.ctx, stop_it, nested.ctx);
    aio_context_run(nested.ctx);
    assert_int_equal(nested.later, 1);
    fixture_context_free(nested.ctx);
}

static void start_thread_that_stops(void *opaque)
{
    Nested *nested = opaque;
    nested->arg = fixture_thread_start(stop_later, nested->ctx);
}

static void stop_by_another_thread_ends_every_run(void **state)
{
    (void)state;
    Nested nested = {
        .ctx = fixture_context(), .depth = 3, .at_the_bottom = start_thread_that_stops};
    nested.arg = &nested;
    run_nested(&nested);
    fixture_thread_join(nested.arg);
    assert_int_equal(nested.ended, 3);
    fixture_context_free(nested.ctx);
}

static void run_another(void *opaque)
{
    Nested *other = opaque;
    run_nested(other);
}

static void stop_ends_no_run_of_another_context(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Nested inner = {.ctx = fixture_context(), .depth = 2, .at_the_bottom = stop_it};
    inner.arg = inner.ctx;
    int calls = 0;
    aio_bh_schedule_oneshot(ctx, run_another, &inner);
    aio_bh_schedule_oneshot(ctx, count, &calls);
    aio_bh_schedule_oneshot(ctx, stop_it, ctx);
    aio_context_run(ctx);
    assert_int_equal(inner.ended, 2);
    assert_int_equal(calls, 1);
    fixture_context_free(inner.ctx);
    fixture_context_free(ctx);
}

typedef struct Loop {
    AioContext *ctx;
    atomic_bool stop;
    bool use_run;
} Loop;

static void loop_until_stopped(void *opaque)
{
    Loop *loop = opaque;
    if (loop->use_run) {
        aio_context_run(loop->ctx);
        return;
    }
    while (!atomic_load(&loop->stop)) {
        aio_poll(loop->ctx, true);
    }
}

static void thread_is_stopped_at_any_moment(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    for (unsigned i = 0; i < 3000 * fixture_long(); i++) {
        Loop loop = {.ctx = ctx, .use_run = i % 2};
        FixtureThread *thread = fixture_thread_start(loop_until_stopped, &loop);
        if (loop.use_run) {
            aio_context_stop(ctx);
        } else {
            atomic_store(&loop.stop, true);
            aio_notify(ctx);
        }
        fixture_thread_join(thread); /* a hang is the time-out of the test */
        /* Each thread is another home: the old one is gone, and did not unbind. */
        aio_context_unref(ctx);
        ctx = fixture_context();
    }
    fixture_context_free(ctx);
}

/* Quiet. */

typedef struct Outside {
    FixturePair pair;
    int calls;
} Outside;

static void read_outside(void *opaque)
{
    Outside *outside = opaque;
    char byte;
    outside->calls++;
    fixture_read(outside->pair.a, &byte, 1);
}

static void quiet_means_no_outside_handler_and_nothing_left_to_do(AioContext *ctx)
{
    int calls = 0;
    Outside outside = {.pair = fixture_pair()}, inside = {.pair = fixture_pair()};
    aio_set_fd_handler(ctx, (int)outside.pair.a, true, read_outside, NULL, NULL, &outside);
    aio_set_fd_handler(ctx, (int)inside.pair.a, false, read_outside, NULL, NULL, &inside);
    fixture_write(outside.pair.b, "?", 1);
    fixture_write(inside.pair.b, "?", 1);
    AioBh *bh = aio_bh_new(ctx, count, &calls);
    aio_bh_schedule(bh);
    aio_quiesce_begin(ctx);
    assert_int_equal(calls, 1);
    assert_int_equal(inside.calls, 1);
    assert_int_equal(outside.calls, 0);
    aio_quiesce_begin(ctx);
    aio_quiesce_end(ctx);
    assert_true(aio_external_disabled(ctx));
    assert_false(aio_poll(ctx, false));
    assert_int_equal(outside.calls, 0);
    aio_quiesce_end(ctx);
    assert_false(aio_external_disabled(ctx));
    assert_true(aio_poll(ctx, true));
    assert_int_equal(outside.calls, 1);
    aio_bh_delete(bh);
    aio_set_fd_handler(ctx, (int)outside.pair.a, true, NULL, NULL, NULL, NULL);
    aio_set_fd_handler(ctx, (int)inside.pair.a, false, NULL, NULL, NULL, NULL);
    fixture_pair_close(&outside.pair);
    fixture_pair_close(&inside.pair);
}

typedef struct Slow {
    AioRequest request;
    int done;
} Slow;

static void on_slow(void *opaque, int64_t ret)
{
    ++*(int *)opaque;
    (void)ret;
}

static void complete_slow(void *opaque)
{
    aio_request_complete(opaque, 0);
}

static void complete_later(void *opaque)
{
    Slow *slow = opaque;
    fixture_sleep_ms(30);
    aio_bh_schedule_oneshot(slow->request.ctx, complete_slow, slow);
}

static void quiet_waits_for_requests_in_flight(void **state)
{
    (void)state;
    static const AioRequestInfo info = {.size = sizeof(Slow)};
    AioContext *ctx = fixture_context();
    int done = 0;
    aio_context_bind(ctx);
    Slow *slow = aio_request_get(&info, ctx, on_slow, &done);
    FixtureThread *thread = fixture_thread_start(complete_later, slow);
    aio_quiesce_begin(ctx);
    assert_int_equal(done, 1);
    aio_quiesce_end(ctx);
    fixture_thread_join(thread);
    fixture_context_free(ctx);
}

/* What it tells. */

static void errors_without_a_result_are_recorded_and_the_first_is_kept(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    aio_context_bind(ctx);
    assert_null(aio_context_take_error(ctx));
    aio_set_fd_handler(ctx, -7, false, count, NULL, NULL, NULL);
    aio_set_fd_handler(ctx, -8, false, count, NULL, NULL, NULL);
    AioError *error = aio_context_take_error(ctx);
    assert_non_null(error);
    assert_int_equal(aio_error_code(error), EBADF);
    assert_non_null(strstr(aio_error_message(error), "-7"));
    aio_error_free(error);
    assert_null(aio_context_take_error(ctx));
    aio_set_fd_handler(ctx, -9, false, count, NULL, NULL, NULL);
    assert_int_equal(info_of(ctx).counters.errors_recorded, 3);
    fixture_context_free(ctx); /* with what was not taken */
}

typedef struct Told {
    atomic_int times;
    atomic_int code;
    AioContext *ctx;
} Told;

static void on_error(AioContext *ctx, const AioError *error, void *opaque)
{
    Told *told = opaque;
    atomic_fetch_add(&told->times, 1);
    atomic_store(&told->code, aio_error_code(error));
    told->ctx = ctx;
}

static void somebody_can_be_told_of_each_error(AioContext *ctx)
{
    Told told = {.times = 0};
    aio_context_set_error_func(ctx, on_error, &told);
    aio_set_fd_handler(ctx, -7, false, count, NULL, NULL, NULL);
    aio_set_fd_handler(ctx, -8, false, count, NULL, NULL, NULL);
    assert_int_equal(atomic_load(&told.times), 2);
    assert_int_equal(atomic_load(&told.code), EBADF);
    assert_ptr_equal(told.ctx, ctx);
    aio_context_set_error_func(ctx, NULL, NULL);
    aio_set_fd_handler(ctx, -9, false, count, NULL, NULL, NULL);
    assert_int_equal(atomic_load(&told.times), 2);
    aio_error_free(aio_context_take_error(ctx));
}

enum { MISTAKES = 2000 };

static void make_mistakes(void *opaque)
{
    AioContext *ctx = opaque;
    for (int i = 0; i < MISTAKES; i++) {
        aio_set_fd_handler(ctx, -7, false, count, NULL, NULL, NULL);
        aio_error_free(aio_context_take_error(ctx));
    }
}

static void count_error(AioContext *ctx, const AioError *error, void *opaque)
{
    (void)ctx;
    atomic_fetch_add((atomic_int *)opaque, aio_error_code(error) == EBADF);
}

static void errors_of_other_threads_meet_a_change_of_who_is_told(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    aio_context_bind(ctx);
    atomic_int told[2] = {0, 0};
    FixtureThread *threads[2];
    aio_context_set_error_func(ctx, count_error, &told[0]);
    for (int i = 0; i < 2; i++) {
        threads[i] = fixture_thread_start(make_mistakes, ctx);
    }
    for (int i = 0; info_of(ctx).counters.errors_recorded < 2 * MISTAKES; i++) {
        aio_context_set_error_func(ctx, count_error, &told[i % 2]);
    }
    for (int i = 0; i < 2; i++) {
        fixture_thread_join(threads[i]);
    }
    assert_int_equal(atomic_load(&told[0]) + atomic_load(&told[1]), 2 * MISTAKES);
    fixture_context_free(ctx);
}

static void info_is_filled_in_as_far_as_the_caller_knows_it(AioContext *ctx)
{
    AioContextInfo info;
    memset(&info, 0x55, sizeof(info));
    info.size = offsetof(AioContextInfo, pollers_refused);
    const char *untouched = info.pollers_refused;
    aio_context_info(ctx, &info);
    assert_int_equal(info.size, offsetof(AioContextInfo, pollers_refused));
    assert_string_equal(info.name, "test");
    assert_string_equal(info.poller, fixture_poller());
    assert_ptr_equal(info.pollers_refused, untouched);
    struct {
        AioContextInfo info;
        uint64_t later;
    } grown = {.info.size = sizeof(grown), .later = 77};
    aio_context_info(ctx, &grown.info);
    assert_string_equal(grown.info.pollers_refused, "");
    assert_int_equal(grown.later, 77);
}

static void fire(void *opaque)
{
    ++*(int *)opaque;
}

static void counters_count_what_happens(AioContext *ctx)
{
    int calls = 0;
    Outside outside = {.pair = fixture_pair()};
    AioTimer timer;
    aio_timer_init(ctx, &timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS, fire, &calls);
    aio_timer_mod(&timer, 1);
    aio_set_fd_handler(ctx, (int)outside.pair.a, true, read_outside, NULL, NULL, &outside);
    fixture_write(outside.pair.b, "?", 1);
    aio_bh_schedule_oneshot(ctx, count, &calls);
    assert_true(aio_poll(ctx, false));
    AioContextInfo info = info_of(ctx);
    assert_int_equal(info.handlers, 1);
    assert_int_equal(info.counters.iterations, 1);
    assert_int_equal(info.counters.waits, 1);
    assert_int_equal(info.counters.sleeps, 0);
    assert_int_equal(info.counters.notifier_writes, 0);
    assert_int_equal(info.counters.drains, 0);
    assert_int_equal(info.counters.interest_updates, 1);
    assert_int_equal(info.counters.busy_polls, 0);
    assert_int_equal(info.counters.bh_calls, 1);
    assert_int_equal(info.counters.handler_calls, 1);
    assert_int_equal(info.counters.timer_calls, 1);
    assert_int_equal(info.counters.request_completions, 0);
    assert_int_equal(info.counters.co_resumes, 0);
    aio_set_fd_handler(ctx, (int)outside.pair.a, true, NULL, NULL, NULL, NULL);
    assert_int_equal(info_of(ctx).counters.interest_updates, 2);
    assert_int_equal(info_of(ctx).handlers, 0);
    fixture_pair_close(&outside.pair);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(stop_ends_run_after_the_iteration),
    cmocka_unit_test(stop_ends_every_run_of_the_context),
    cmocka_unit_test(stop_by_another_thread_ends_every_run),
    cmocka_unit_test(stop_ends_no_run_of_another_context),
    cmocka_unit_test(thread_is_stopped_at_any_moment),
    cmocka_unit_test_home(quiet_means_no_outside_handler_and_nothing_left_to_do),
    cmocka_unit_test(quiet_waits_for_requests_in_flight),
    cmocka_unit_test(errors_without_a_result_are_recorded_and_the_first_is_kept),
    cmocka_unit_test_home(somebody_can_be_told_of_each_error),
    cmocka_unit_test(errors_of_other_threads_meet_a_change_of_who_is_told),
    cmocka_unit_test_home(info_is_filled_in_as_far_as_the_caller_knows_it),
    cmocka_unit_test_home(counters_count_what_happens),
};
TEST_MAIN(tests)
