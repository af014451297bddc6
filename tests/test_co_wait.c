/*
 * Coroutines that wait for a descriptor, and those that are given a time.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "tests/co_help.h"

#define MS INT64_C(1000000)

typedef struct Waiter {
    FixturePair pair;
    bool for_writing;
    int result;
    bool ended;
    char byte;
} Waiter;

static AioContext *home(void)
{
    AioContext *ctx = fixture_context();
    aio_context_bind(ctx);
    return ctx;
}

static void start(AioContext *ctx, AioCoroutineFunc *entry, void *opaque)
{
    AioCoroutine *co = aio_co_create(entry, opaque);
    assert_non_null(co);
    aio_co_enter(ctx, co);
}

static uint64_t handlers(AioContext *ctx)
{
    AioContextInfo info = {.size = sizeof(info)};
    aio_context_info(ctx, &info);
    return info.handlers;
}

static void wait_for_pair(void *opaque)
{
    Waiter *waiter = opaque;
    waiter->result = waiter->for_writing
                         ? aio_co_wait_writable(waiter->pair.a, fixture_pair_kind())
                         : aio_co_wait_readable(waiter->pair.a, fixture_pair_kind());
    if (!waiter->for_writing && waiter->result == 0) {
        fixture_read(waiter->pair.a, &waiter->byte, 1);
    }
    waiter->ended = true;
}

static void waits_until_readable_and_leaves_no_handler(void **state)
{
    (void)state;
    AioContext *ctx = home();
    Waiter waiter = {.pair = fixture_pair(), .result = -1};
    start(ctx, wait_for_pair, &waiter);
    assert_false(drive(ctx, false));
    assert_false(waiter.ended);
    assert_int_equal(handlers(ctx), 1);
    assert_int_equal(fixture_write(waiter.pair.b, "x", 1), 1);
    while (!waiter.ended) {
        drive(ctx, true);
    }
    assert_int_equal(waiter.result, 0);
    assert_int_equal(waiter.byte, 'x');
    assert_int_equal(handlers(ctx), 0);
    fixture_pair_close(&waiter.pair);
    fixture_context_free(ctx);
}

static void waits_until_writable(void **state)
{
    (void)state;
    AioContext *ctx = home();
    Waiter waiter = {.pair = fixture_pair(), .for_writing = true, .result = -1};
    fixture_fill(waiter.pair.a);
    start(ctx, wait_for_pair, &waiter);
    assert_false(drive(ctx, false));
    assert_false(waiter.ended);
    char buffer[4096];
    while (fixture_read(waiter.pair.b, buffer, sizeof(buffer)) > 0) {
        continue;
    }
    while (!waiter.ended) {
        drive(ctx, true);
    }
    assert_int_equal(waiter.result, 0);
    assert_int_equal(handlers(ctx), 0);
    fixture_pair_close(&waiter.pair);
    fixture_context_free(ctx);
}

static void peer_that_goes_ends_the_wait(void **state)
{
    (void)state;
    AioContext *ctx = home();
    Waiter waiter = {.pair = fixture_pair(), .result = -1};
    start(ctx, wait_for_pair, &waiter);
    fixture_close(waiter.pair.b);
    waiter.pair.b = AIO_HANDLE_NONE;
    while (!waiter.ended) {
        drive(ctx, true);
    }
    assert_int_equal(waiter.result, 0);
    fixture_pair_close(&waiter.pair);
    fixture_context_free(ctx);
}

static void bad_handle_is_an_error_at_once(void **state)
{
    (void)state;
    AioContext *ctx = home();
    Waiter waiter = {.pair = {.a = AIO_HANDLE_NONE, .b = AIO_HANDLE_NONE}};
    start(ctx, wait_for_pair, &waiter);
    assert_true(waiter.ended);
    assert_int_equal(waiter.result, -EBADF);
    fixture_context_free(ctx);
}

static void closed_handle_ends_the_wait_with_an_error(void **state)
{
    (void)state;
    AioContext *ctx = home();
    Waiter waiter = {.pair = fixture_pair()};
    fixture_close(waiter.pair.a); /* the number is good, what it names is gone */
    start(ctx, wait_for_pair, &waiter);
    for (int i = 0; i < 3 && !waiter.ended; i++) {
        drive(ctx, false);
    }
    assert_true(waiter.ended);
    assert_int_equal(waiter.result, -EBADF);
    waiter.pair.a = AIO_HANDLE_NONE;
    fixture_pair_close(&waiter.pair);
    aio_error_free(aio_context_take_error(ctx));
    fixture_context_free(ctx);
}

typedef struct Cancelled {
    Waiter waiter;
    AioCoroutine *co;
    int limit_result;
    bool ended;
} Cancelled;

static void wait_as_child(void *opaque)
{
    Cancelled *cancelled = opaque;
    cancelled->co = aio_co_self();
    wait_for_pair(&cancelled->waiter);
}

static void wake_child(void *opaque)
{
    Cancelled *cancelled = opaque;
    aio_co_wake(cancelled->co);
}

static void wait_with_a_limit(void *opaque)
{
    Cancelled *cancelled = opaque;
    cancelled->limit_result = aio_co_timeout(wait_as_child, wake_child, cancelled, 2 * MS);
    cancelled->ended = true;
}

static void wake_cancels_the_wait_and_leaves_no_handler(void **state)
{
    (void)state;
    AioContext *ctx = home();
    Cancelled cancelled = {.waiter = {.pair = fixture_pair()}};
    start(ctx, wait_with_a_limit, &cancelled);
    while (!cancelled.ended) {
        drive(ctx, true);
    }
    assert_int_equal(cancelled.limit_result, -ETIMEDOUT);
    assert_int_equal(cancelled.waiter.result, -ECANCELED);
    assert_int_equal(handlers(ctx), 0);
    assert_int_equal(fixture_write(cancelled.waiter.pair.b, "x", 1), 1);
    assert_false(drive(ctx, false)); /* nobody is called any more */
    fixture_pair_close(&cancelled.waiter.pair);
    fixture_context_free(ctx);
}

/* Scheduled by another callback of the iteration that finds its descriptor ready. */

typedef struct Rival {
    AioContext *ctx;
    Waiter waiter;
    AioCoroutine *co;
    FixturePair pair;
    bool came_first;
} Rival;

static void wait_with_a_rival(void *opaque)
{
    Rival *rival = opaque;
    wait_for_pair(&rival->waiter);
}

static void schedule_the_waiter(void *opaque)
{
    Rival *rival = opaque;
    aio_handler_remove(rival->ctx, rival->pair.a, fixture_pair_kind());
    if (!rival->waiter.ended) {
        rival->came_first = true;
        aio_co_schedule(rival->ctx, rival->co);
    }
}

static bool run_rival(AioContext *ctx, bool waits_first)
{
    Rival rival = {.ctx = ctx, .waiter = {.pair = fixture_pair()}, .pair = fixture_pair()};
    AioHandlerOps ops = {.size = sizeof(ops), .read = schedule_the_waiter};
    rival.co = co_make(wait_with_a_rival, &rival);
    assert_int_equal(fixture_write(rival.pair.b, "x", 1), 1);
    assert_int_equal(fixture_write(rival.waiter.pair.b, "x", 1), 1);
    if (waits_first) {
        aio_co_enter(ctx, rival.co);
    }
    assert_true(aio_handler_set(ctx, rival.pair.a, fixture_pair_kind(), 0, &ops, &rival, NULL));
    if (!waits_first) {
        aio_co_enter(ctx, rival.co);
    }
    while (!rival.waiter.ended) {
        drive(ctx, true);
    }
    assert_int_equal(rival.waiter.result, 0);
    assert_int_equal(handlers(ctx), 0);
    fixture_pair_close(&rival.pair);
    fixture_pair_close(&rival.waiter.pair);
    return rival.came_first;
}

static void readiness_and_a_wake_in_one_iteration_continue_it_once(void **state)
{
    (void)state;
    AioContext *ctx = home();
    bool first = run_rival(ctx, true), second = run_rival(ctx, false);
    assert_true(first || second);
    fixture_context_free(ctx);
}

/* Work that sleeps until its time is up or it is told to end. */
typedef struct Work {
    AioCoSleep sleep;
    int64_t needs_ns;
    int64_t limit_ns;
    int cancels;
    bool cancelled_in_coroutine;
    int result;
    bool work_ended;
    bool ended;
} Work;

static void work(void *opaque)
{
    Work *work = opaque;
    if (work->needs_ns > 0) {
        aio_co_sleep_ns_wakeable(&work->sleep, AIO_CLOCK_REALTIME, work->needs_ns);
    }
    work->work_ended = true;
}

static void cancel(void *opaque)
{
    Work *work = opaque;
    work->cancels++;
    work->cancelled_in_coroutine = aio_co_in_coroutine();
    aio_co_sleep_wake(&work->sleep);
    work->cancels += work->ended ? 100 : 0; /* the one who waits must not have gone on yet */
}

static void work_with_a_limit(void *opaque)
{
    Work *self = opaque;
    self->result = aio_co_timeout(work, cancel, self, self->limit_ns);
    self->ended = true;
}

static void run_work(AioContext *ctx, Work *work)
{
    work->result = 1;
    start(ctx, work_with_a_limit, work);
    while (!work->ended) {
        drive(ctx, true);
    }
}

static void work_within_its_time_is_not_cancelled(void **state)
{
    (void)state;
    AioContext *ctx = home();
    Work at_once = {.limit_ns = 10000 * MS}, slow = {.needs_ns = 2 * MS, .limit_ns = 10000 * MS};
    run_work(ctx, &at_once);
    run_work(ctx, &slow);
    assert_int_equal(at_once.result, 0);
    assert_int_equal(slow.result, 0);
    assert_int_equal(at_once.cancels + slow.cancels, 0);
    assert_int_equal(aio_compute_timeout(ctx), -1); /* no timer is left */
    fixture_context_free(ctx);
}

static void work_beyond_its_time_is_cancelled_once_and_waited_for(void **state)
{
    (void)state;
    AioContext *ctx = home();
    Work late = {.needs_ns = 3600 * 1000 * MS, .limit_ns = 2 * MS};
    int64_t began = fixture_now_ns();
    run_work(ctx, &late);
    assert_true(fixture_now_ns() - began >= 2 * MS);
    assert_int_equal(late.result, -ETIMEDOUT);
    assert_int_equal(late.cancels, 1);
    assert_false(late.cancelled_in_coroutine);
    assert_true(late.work_ended);
    fixture_context_free(ctx);
}

static void work_without_a_limit_is_not_cancelled(void **state)
{
    (void)state;
    AioContext *ctx = home();
    Work unlimited = {.needs_ns = 2 * MS, .limit_ns = -1};
    Work nearly = {.needs_ns = 2 * MS, .limit_ns = INT64_MAX};
    run_work(ctx, &unlimited);
    run_work(ctx, &nearly);
    assert_int_equal(unlimited.result, 0);
    assert_int_equal(nearly.result, 0);
    assert_int_equal(unlimited.cancels + nearly.cancels, 0);
    fixture_context_free(ctx);
}

/* Work that ends in another thread, at about the time when it is to be cancelled. */
typedef struct FarWork {
    Work work;
    AioContext *there;
    bool back_home;
} FarWork;

static void work_elsewhere(void *opaque)
{
    FarWork *far = opaque;
    aio_co_reschedule_self(far->there);
    work(&far->work);
}

static void cancel_far(void *opaque)
{
    FarWork *far = opaque;
    cancel(&far->work);
}

static void far_work_with_a_limit(void *opaque)
{
    FarWork *far = opaque;
    AioContext *here = aio_context_current();
    far->work.result = aio_co_timeout(work_elsewhere, cancel_far, far, far->work.limit_ns);
    far->back_home = aio_context_current() == here && aio_co_context(aio_co_self()) == here;
    far->work.ended = true;
}

static void work_that_ends_elsewhere_while_it_is_cancelled_is_waited_for(void **state)
{
    (void)state;
    AioContext *ctx = home();
    CoLoops loops;
    unsigned seed = 1;
    int64_t end = co_end();
    co_loops_start(&loops, 1);
    while (fixture_now_ns() < end) {
        FarWork far = {.there = loops.ctx[0]};
        far.work.needs_ns = co_random(&seed) % 200000;
        far.work.limit_ns = co_random(&seed) % 200000;
        start(ctx, far_work_with_a_limit, &far);
        while (!far.work.ended) {
            drive(ctx, true);
        }
        assert_true(far.back_home);
        assert_true(far.work.work_ended);
        assert_true(far.work.cancels <= 1);
        assert_int_equal(far.work.result, far.work.cancels ? -ETIMEDOUT : 0);
    }
    co_loops_join(&loops);
    fixture_context_free(ctx);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(waits_until_readable_and_leaves_no_handler),
    cmocka_unit_test(waits_until_writable),
    cmocka_unit_test(peer_that_goes_ends_the_wait),
    cmocka_unit_test(bad_handle_is_an_error_at_once),
    cmocka_unit_test(closed_handle_ends_the_wait_with_an_error),
    cmocka_unit_test(wake_cancels_the_wait_and_leaves_no_handler),
    cmocka_unit_test(readiness_and_a_wake_in_one_iteration_continue_it_once),
    cmocka_unit_test(work_within_its_time_is_not_cancelled),
    cmocka_unit_test(work_beyond_its_time_is_cancelled_once_and_waited_for),
    cmocka_unit_test(work_without_a_limit_is_not_cancelled),
    cmocka_unit_test(work_that_ends_elsewhere_while_it_is_cancelled_is_waited_for),
};
TEST_MAIN(tests)
