/*
 * Coroutines and contexts: what is fatal with one that is scheduled, and inside of one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

static void yield_for_ever(void *opaque)
{
    (void)opaque;
    for (;;) {
        aio_co_yield();
    }
}

static void die_by_scheduling_twice(void *ctx)
{
    AioCoroutine *co = aio_co_create(yield_for_ever, NULL);
    aio_co_schedule(ctx, co);
    aio_co_enter(ctx, co); /* not its home thread yet: that schedules, too */
}

static void die_by_entering_a_scheduled_one(void *ctx)
{
    AioCoroutine *co = aio_co_create(yield_for_ever, NULL);
    aio_context_bind(ctx);
    aio_co_schedule(ctx, co);
    aio_co_enter(ctx, co);
}

static void schedule_then_wake(void *ctx)
{
    AioCoroutine *co = aio_co_create(yield_for_ever, NULL);
    aio_co_schedule(ctx, co);
    aio_co_wake(co);
}

static void die_by_waking_a_scheduled_one(void *ctx)
{
    aio_context_bind(ctx);
    aio_co_enter(ctx, aio_co_create(schedule_then_wake, ctx));
}

static void return_scheduled(void *ctx)
{
    aio_co_schedule(ctx, aio_co_self());
}

static void die_by_ending_scheduled(void *ctx)
{
    aio_context_bind(ctx);
    aio_co_enter(ctx, aio_co_create(return_scheduled, ctx));
}

static void what_is_scheduled_can_not_be_scheduled_woken_or_entered_or_end(AioContext *ctx)
{
    static const char by_schedule[] = "is scheduled already, by aio_co_schedule";
    assert_true(fixture_dies(die_by_scheduling_twice, ctx, "aio_co_enter: coroutine 0x"));
    assert_true(fixture_dies(die_by_scheduling_twice, ctx, by_schedule));
    assert_true(fixture_dies(die_by_entering_a_scheduled_one, ctx, "aio_co_enter: coroutine 0x"));
    assert_true(fixture_dies(die_by_entering_a_scheduled_one, ctx, by_schedule));
    assert_true(fixture_dies(die_by_waking_a_scheduled_one, ctx, "aio_co_wake: coroutine 0x"));
    assert_true(fixture_dies(die_by_waking_a_scheduled_one, ctx, by_schedule));
    assert_true(fixture_dies(die_by_ending_scheduled, ctx, "the end of a coroutine: coroutine 0x"));
    assert_true(fixture_dies(die_by_ending_scheduled, ctx, by_schedule));
}

static void poll_it(void *ctx)
{
    drive(ctx, false);
}

static void die_by_polling_inside(void *ctx)
{
    aio_co_enter(ctx, aio_co_create(poll_it, ctx));
    drive(ctx, false);
}

static void running_a_loop_inside_a_coroutine_is_fatal(AioContext *ctx)
{
    assert_true(fixture_dies(die_by_polling_inside, ctx, "inside a coroutine, context 'test'"));
}

static void die_by_freeing_the_context(void *opaque)
{
    (void)opaque;
    AioContext *ctx = fixture_context(); /* of the child itself: a copy's end is never fatal */
    aio_co_schedule(ctx, aio_co_create(yield_for_ever, NULL));
    aio_context_unref(ctx);
}

static void freeing_a_context_with_a_scheduled_coroutine_is_fatal(void **state)
{
    (void)state;
    assert_true(fixture_dies(die_by_freeing_the_context, NULL,
                             "Context 'test' freed while a coroutine is scheduled on it"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(what_is_scheduled_can_not_be_scheduled_woken_or_entered_or_end),
    cmocka_unit_test_home(running_a_loop_inside_a_coroutine_is_fatal),
    cmocka_unit_test(freeing_a_context_with_a_scheduled_coroutine_is_fatal),
};
TEST_MAIN(tests)
