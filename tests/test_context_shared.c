/*
 * Contexts that threads share, and the user's lock.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

static void count(void *opaque)
{
    ++*(int *)opaque;
}

static AioContext *shared_context(void)
{
    return fixture_context_flags(AIO_CONTEXT_SHARED);
}

static void poll_shared_without_the_lock(void *opaque)
{
    (void)opaque;
    aio_poll(shared_context(), false);
}

static void bind_shared(void *opaque)
{
    (void)opaque;
    aio_context_bind(shared_context());
}

static void shared_context_needs_the_lock_and_has_no_home(void **state)
{
    (void)state;
    assert_true(fixture_dies(poll_shared_without_the_lock, NULL,
                             "aio_poll of shared context 'test' without aio_context_acquire()"));
    assert_true(fixture_dies(bind_shared, NULL, "Shared context 'test' can't be bound"));
    AioContext *ctx = shared_context();
    assert_false(aio_context_in_home_thread(ctx));
    aio_context_acquire(ctx);
    aio_context_acquire(ctx);
    assert_true(aio_context_in_home_thread(ctx));
    assert_false(aio_poll(ctx, false));
    aio_context_release(ctx);
    assert_true(aio_context_in_home_thread(ctx)); /* it was taken twice */
    aio_context_release(ctx);
    assert_false(aio_context_in_home_thread(ctx));
    assert_null(aio_context_current());
    aio_context_unref(ctx);
}

typedef struct Sharer {
    AioContext *ctx;
    AioBh *bh;
    int *sum; /* plain: the lock must carry it */
    atomic_int *left;
} Sharer;

static void take_turns(void *opaque)
{
    Sharer *sharer = opaque;
    while (atomic_load(sharer->left) > 0) {
        aio_context_acquire(sharer->ctx);
        aio_bh_schedule(sharer->bh);
        aio_poll(sharer->ctx, true);
        atomic_fetch_sub(sharer->left, 1);
        aio_context_release(sharer->ctx);
    }
}

static void acquirers_take_turns_without_deadlock(void **state)
{
    (void)state;
    int sum = 0;
    atomic_int left = 4000 * (int)fixture_long();
    AioContext *ctx = shared_context();
    Sharer sharer = {.ctx = ctx, .bh = aio_bh_new(ctx, count, &sum), .sum = &sum, .left = &left};
    FixtureThread *threads[2];
    for (int i = 0; i < 2; i++) {
        threads[i] = fixture_thread_start(take_turns, &sharer);
    }
    for (int i = 0; i < 2; i++) {
        fixture_thread_join(threads[i]);
    }
    assert_true(sum >= 4000);
    aio_bh_delete(sharer.bh);
    aio_context_acquire(ctx);
    aio_poll(ctx, false);
    aio_context_release(ctx);
    aio_context_unref(ctx);
}

typedef struct Acquirer {
    AioContext *ctx;
    atomic_bool entered;
} Acquirer;

static void acquire_once(void *opaque)
{
    Acquirer *acquirer = opaque;
    aio_context_acquire(acquirer->ctx);
    atomic_store(&acquirer->entered, true);
    aio_context_release(acquirer->ctx);
}

static void notify_later(void *opaque)
{
    fixture_sleep_ms(50);
    aio_notify(opaque);
}

static void lock_is_kept_while_poll_waits(void **state)
{
    (void)state;
    const unsigned kinds[] = {0, AIO_CONTEXT_SHARED};
    for (size_t i = 0; i < 2; i++) {
        AioContext *ctx = fixture_context_flags(kinds[i]);
        Acquirer acquirer = {.ctx = ctx};
        aio_context_acquire(ctx);
        FixtureThread *waiting = fixture_thread_start(acquire_once, &acquirer);
        FixtureThread *waking = fixture_thread_start(notify_later, ctx);
        assert_false(aio_poll(ctx, true));
        assert_false(atomic_load(&acquirer.entered));
        aio_context_release(ctx);
        fixture_thread_join(waiting);
        fixture_thread_join(waking);
        assert_true(atomic_load(&acquirer.entered));
        aio_context_unref(ctx);
    }
}

static void let_another_acquire(void *opaque)
{
    fixture_thread_join(fixture_thread_start(acquire_once, opaque));
}

static void poll_and_callbacks_hold_no_lock(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Acquirer acquirer = {.ctx = ctx};
    aio_bh_schedule_oneshot(ctx, let_another_acquire, &acquirer);
    assert_true(drive(ctx, false));
    assert_true(atomic_load(&acquirer.entered));
    fixture_context_free(ctx);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(shared_context_needs_the_lock_and_has_no_home),
    cmocka_unit_test(acquirers_take_turns_without_deadlock),
    cmocka_unit_test(lock_is_kept_while_poll_waits),
    cmocka_unit_test(poll_and_callbacks_hold_no_lock),
};
TEST_MAIN(tests)
