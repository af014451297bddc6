/*
 * The queue of waiting coroutines: order, locks, and wakers inside and outside of coroutines.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>

#include "tests/co_help.h"

typedef struct Log {
    AioCoQueue queue;
    AioCoMutex mutex;
    int ids[32];
    int used;
} Log;

typedef struct Waiter {
    Log *log;
    int id;
    unsigned flags;
    bool locks;
    int rounds;
} Waiter;

static void wait_and_note(void *opaque)
{
    Waiter *waiter = opaque;
    Log *log = waiter->log;
    AioLockable lock = aio_lockable_co_mutex(&log->mutex);
    if (waiter->locks) {
        aio_co_mutex_lock(&log->mutex);
    }
    do {
        aio_co_queue_wait_flags(&log->queue, waiter->locks ? &lock : NULL, waiter->flags);
        log->ids[log->used++] = waiter->id;
    } while (--waiter->rounds > 0);
    if (waiter->locks) {
        aio_co_mutex_unlock(&log->mutex);
    }
}

static void start_waiter(AioContext *ctx, Waiter *waiter)
{
    co_start(ctx, wait_and_note, waiter);
}

static void waiters_are_woken_in_the_order_of_their_coming(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Log log = {.used = 0};
    aio_co_queue_init(&log.queue);
    assert_true(aio_co_queue_empty(&log.queue));
    Waiter waiters[3];
    for (int i = 0; i < 3; i++) {
        waiters[i] = (Waiter){.log = &log, .id = i};
        start_waiter(ctx, &waiters[i]);
    }
    assert_false(aio_co_queue_empty(&log.queue));
    for (int i = 0; i < 3; i++) {
        assert_true(aio_co_queue_next(&log.queue)); /* outside of coroutines: by the loop */
        assert_int_equal(log.used, i);
        assert_true(drive(ctx, false));
        assert_int_equal(log.used, i + 1);
        assert_int_equal(log.ids[i], i);
    }
    assert_false(aio_co_queue_next(&log.queue));
    assert_true(aio_co_queue_empty(&log.queue));
    fixture_context_free(ctx);
}

static void front_waits_before_all_others(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Log log = {.used = 0};
    Waiter a = {.log = &log, .id = 1}, b = {.log = &log, .id = 2};
    Waiter c = {.log = &log, .id = 3, .flags = AIO_CO_QUEUE_FRONT};
    start_waiter(ctx, &a);
    start_waiter(ctx, &b);
    start_waiter(ctx, &c);
    aio_co_queue_restart_all(&log.queue);
    while (drive(ctx, false)) {
        continue;
    }
    assert_int_equal(log.used, 3);
    assert_int_equal(log.ids[0], 3);
    assert_int_equal(log.ids[1], 1);
    assert_int_equal(log.ids[2], 2);
    fixture_context_free(ctx);
}

static void front_on_an_empty_queue_leaves_an_end_to_append_to(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Log log = {.used = 0};
    Waiter a = {.log = &log, .id = 1, .flags = AIO_CO_QUEUE_FRONT}, b = {.log = &log, .id = 2};
    start_waiter(ctx, &a);
    start_waiter(ctx, &b);
    assert_true(aio_co_queue_enter_next(&log.queue, NULL));
    assert_true(aio_co_queue_enter_next(&log.queue, NULL));
    assert_int_equal(log.ids[0] * 10 + log.ids[1], 12);
    fixture_context_free(ctx);
}

static void restart_all_wakes_those_that_wait_now(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Log log = {.used = 0};
    Waiter waiters[3];
    for (int i = 0; i < 3; i++) {
        waiters[i] = (Waiter){.log = &log, .id = i, .rounds = 2};
        start_waiter(ctx, &waiters[i]);
    }
    aio_co_queue_restart_all(&log.queue);
    while (drive(ctx, false)) {
        continue;
    }
    assert_int_equal(log.used, 3); /* they wait again, and were not woken again */
    assert_false(aio_co_queue_empty(&log.queue));
    aio_co_queue_enter_all(&log.queue, NULL);
    assert_int_equal(log.used, 6);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(log.ids[i], i % 3);
    }
    fixture_context_free(ctx);
}

static void enter_all_ends_although_they_wait_again(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Log log = {.used = 0};
    Waiter a = {.log = &log, .id = 1, .rounds = 2};
    start_waiter(ctx, &a);
    aio_co_queue_enter_all(&log.queue, NULL);
    assert_int_equal(log.used, 1);
    aio_co_queue_enter_all(&log.queue, NULL);
    assert_int_equal(log.used, 2);
    assert_true(aio_co_queue_empty(&log.queue));
    fixture_context_free(ctx);
}

/* A lock that knows whether it is held. */
typedef struct Plain {
    Log *log;
    int held;
    int locked;
    int used_at_unlock;
} Plain;

static void plain_lock(void *object)
{
    Plain *plain = object;
    assert(plain->held == 0);
    plain->held = 1;
    plain->locked++;
}

static void plain_unlock(void *object)
{
    Plain *plain = object;
    plain->held = 0;
    plain->used_at_unlock = plain->log->used;
}

static void enter_next_drops_the_lock_while_the_waiter_runs(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Log log = {.used = 0};
    Plain plain = {.log = &log, .held = 1};
    AioLockable lock = {.object = &plain, .lock = plain_lock, .unlock = plain_unlock};
    Waiter a = {.log = &log, .id = 1};
    start_waiter(ctx, &a);
    assert_true(aio_co_queue_enter_next(&log.queue, &lock));
    assert_int_equal(log.used, 1); /* at once */
    assert_int_equal(plain.used_at_unlock, 0);
    assert_int_equal(plain.held, 1);
    assert_int_equal(plain.locked, 1);
    assert_false(aio_co_queue_enter_next(&log.queue, &lock));
    assert_int_equal(plain.locked, 1);
    fixture_context_free(ctx);
}

typedef struct Waker {
    Log *log;
    int used_before_yield;
} Waker;

static void wake_under_the_mutex(void *opaque)
{
    Waker *waker = opaque;
    Log *log = waker->log;
    aio_co_mutex_lock(&log->mutex); /* free: the waiter dropped it */
    aio_co_queue_next(&log->queue);
    waker->used_before_yield = log->used;
    aio_co_mutex_unlock(&log->mutex);
}

static void wait_drops_the_mutex_and_takes_it_again(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Log log = {.used = 0};
    Waiter a = {.log = &log, .id = 7, .locks = true};
    Waker waker = {.log = &log, .used_before_yield = -1};
    start_waiter(ctx, &a);
    AioCoroutine *co = aio_co_create(wake_under_the_mutex, &waker);
    assert_non_null(co);
    aio_co_enter(ctx, co);
    assert_int_equal(waker.used_before_yield, 0); /* it needs the mutex first */
    assert_int_equal(log.used, 1);
    fixture_context_free(ctx);
}

/* A producer and a consumer in two loops, with a queue and a mutex between them. */

typedef struct Channel {
    AioCoMutex mutex;
    AioCoQueue changed;
    AioThread *threads[2];
    int value; /* 0: empty */
    long sum;
    int count;
    atomic_int running;
} Channel;

static void produce(void *opaque)
{
    Channel *channel = opaque;
    AioLockable lock = aio_lockable_co_mutex(&channel->mutex);
    aio_co_mutex_lock(&channel->mutex);
    for (int i = 1; i <= channel->count; i++) {
        while (channel->value) {
            aio_co_queue_wait(&channel->changed, &lock);
        }
        channel->value = i;
        aio_co_queue_restart_all(&channel->changed);
    }
    aio_co_mutex_unlock(&channel->mutex);
    atomic_fetch_sub(&channel->running, 1);
}

static void consume(void *opaque)
{
    Channel *channel = opaque;
    AioLockable lock = aio_lockable_co_mutex(&channel->mutex);
    aio_co_mutex_lock(&channel->mutex);
    for (int i = 1; i <= channel->count; i++) {
        while (!channel->value) {
            aio_co_queue_wait(&channel->changed, &lock);
        }
        channel->sum += channel->value;
        channel->value = 0;
        aio_co_queue_restart_all(&channel->changed);
    }
    aio_co_mutex_unlock(&channel->mutex);
    atomic_fetch_sub(&channel->running, 1);
}

static void no_wake_up_is_lost_between_two_contexts(void **state)
{
    (void)state;
    AioContextOptions options = {.size = sizeof(options), .poller = fixture_poller()};
    Channel channel = {.count = 3000 * (int)fixture_long()};
    atomic_store(&channel.running, 2);
    for (int i = 0; i < 2; i++) {
        channel.threads[i] = aio_thread_start(&options, NULL);
        assert_non_null(channel.threads[i]);
    }
    aio_co_schedule(aio_thread_context(channel.threads[0]), aio_co_create(produce, &channel));
    aio_co_schedule(aio_thread_context(channel.threads[1]), aio_co_create(consume, &channel));
    int64_t hopeless = fixture_now_ns() + 30000000000 * (int64_t)fixture_long();
    while (atomic_load(&channel.running) > 0) {
        assert_true(fixture_now_ns() < hopeless);
        fixture_sleep_ms(1);
    }
    for (int i = 0; i < 2; i++) {
        aio_thread_join(channel.threads[i]);
    }
    long n = channel.count;
    assert_int_equal(channel.sum, n * (n + 1) / 2);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(waiters_are_woken_in_the_order_of_their_coming),
    cmocka_unit_test(front_waits_before_all_others),
    cmocka_unit_test(front_on_an_empty_queue_leaves_an_end_to_append_to),
    cmocka_unit_test(restart_all_wakes_those_that_wait_now),
    cmocka_unit_test(enter_all_ends_although_they_wait_again),
    cmocka_unit_test(enter_next_drops_the_lock_while_the_waiter_runs),
    cmocka_unit_test(wait_drops_the_mutex_and_takes_it_again),
    cmocka_unit_test(no_wake_up_is_lost_between_two_contexts),
};
TEST_MAIN(tests)
