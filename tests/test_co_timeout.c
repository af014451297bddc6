/*
 * Coroutines that are given a time: work that ends in it, work that is told to end, and work that ends elsewhere.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "tests/co_help.h"

#define MS INT64_C(1000000)

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
    co_start(ctx, work_with_a_limit, work);
    while (!work->ended) {
        drive(ctx, true);
    }
}

static void work_within_its_time_is_not_cancelled(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
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
    AioContext *ctx = fixture_home();
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
    AioContext *ctx = fixture_home();
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
    AioContext *ctx = fixture_home();
    CoLoops loops;
    unsigned seed = 1;
    int64_t end = co_end();
    co_loops_start(&loops, 1);
    while (fixture_now_ns() < end) {
        FarWork far = {.there = loops.ctx[0]};
        far.work.needs_ns = co_random(&seed) % 200000;
        far.work.limit_ns = co_random(&seed) % 200000;
        co_start(ctx, far_work_with_a_limit, &far);
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
    cmocka_unit_test(work_within_its_time_is_not_cancelled),
    cmocka_unit_test(work_beyond_its_time_is_cancelled_once_and_waited_for),
    cmocka_unit_test(work_without_a_limit_is_not_cancelled),
    cmocka_unit_test(work_that_ends_elsewhere_while_it_is_cancelled_is_waited_for),
};
TEST_MAIN(tests)
