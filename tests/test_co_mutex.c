/*
 * The mutex of coroutines: who gets it, in which order, in one context and across many.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/co_help.h"

/* Coroutines that take one mutex, note when they got it, and leave it when they are told. */
typedef struct Taker {
    AioCoMutex *mutex;
    AioCoroutine *co;
    int id;
    int *log;
    int *used;
    bool yields; /* while it holds the mutex */
    bool got_by_trylock;
    bool ended;
} Taker;

static void take(void *opaque)
{
    Taker *taker = opaque;
    taker->co = aio_co_self();
    aio_co_mutex_lock(taker->mutex);
    taker->log[(*taker->used)++] = taker->id;
    if (taker->yields) {
        aio_co_yield();
    }
    aio_co_mutex_unlock(taker->mutex);
    taker->ended = true;
}

static void zero_is_a_free_mutex(AioContext *ctx)
{
    AioCoMutex zero;
    memset(&zero, 0, sizeof(zero));
    AioCoMutex made;
    memset(&made, 0xff, sizeof(made));
    aio_co_mutex_init(&made);
    int log[2], used = 0;
    Taker a = {.mutex = &zero, .id = 1, .log = log, .used = &used};
    Taker b = {.mutex = &made, .id = 2, .log = log, .used = &used};
    co_start(ctx, take, &a);
    co_start(ctx, take, &b);
    assert_true(a.ended && b.ended);
    assert_int_equal(used, 2);
}

static void waiters_get_it_in_the_order_of_their_coming(AioContext *ctx)
{
    enum { N = 10 };
    AioCoMutex mutex = {0};
    int log[N], used = 0;
    Taker takers[N];
    for (int i = 0; i < N; i++) {
        takers[i] = (Taker){.mutex = &mutex, .id = i, .log = log, .used = &used, .yields = true};
        co_start(ctx, take, &takers[i]);
    }
    assert_int_equal(used, 1); /* all others wait */
    for (int i = 0; i < N; i++) {
        assert_int_equal(used, i + 1);
        assert_int_equal(log[i], i);
        aio_co_enter(ctx, takers[i].co); /* it unlocks, and the next one runs when it has ended */
        assert_true(takers[i].ended);
    }
    assert_int_equal(used, N);
}

static void try_to_take(void *opaque)
{
    Taker *taker = opaque;
    taker->got_by_trylock = aio_co_mutex_trylock(taker->mutex);
    if (taker->got_by_trylock) {
        aio_co_mutex_unlock(taker->mutex);
    }
    taker->ended = true;
}

static void trylock_takes_it_only_where_it_is_free(AioContext *ctx)
{
    AioCoMutex mutex = {0};
    int log[1], used = 0;
    Taker holder = {.mutex = &mutex, .log = log, .used = &used, .yields = true};
    Taker other = {.mutex = &mutex}, third = {.mutex = &mutex};
    co_start(ctx, take, &holder);
    co_start(ctx, try_to_take, &other);
    assert_true(other.ended);
    assert_false(other.got_by_trylock);
    aio_co_enter(ctx, holder.co);
    co_start(ctx, try_to_take, &third);
    assert_true(third.got_by_trylock);
}

typedef struct Handover {
    AioCoMutex mutex;
    AioCoroutine *first;
    int second_got_it;
    int seen_after_unlock;
    bool overtook;
} Handover;

static void unlock_and_look(void *opaque)
{
    Handover *handover = opaque;
    handover->first = aio_co_self();
    aio_co_mutex_lock(&handover->mutex);
    aio_co_yield();
    aio_co_mutex_unlock(&handover->mutex);
    handover->seen_after_unlock = handover->second_got_it;
    handover->overtook = aio_co_mutex_trylock(&handover->mutex); /* it belongs to the waiter now */
}

static void second_taker(void *opaque)
{
    Handover *handover = opaque;
    aio_co_mutex_lock(&handover->mutex);
    handover->second_got_it = 1;
    aio_co_mutex_unlock(&handover->mutex);
}

static void unlock_hands_over_and_the_waiter_runs_later(AioContext *ctx)
{
    Handover handover = {.seen_after_unlock = -1};
    co_start(ctx, unlock_and_look, &handover);
    co_start(ctx, second_taker, &handover);
    aio_co_enter(ctx, handover.first);
    assert_int_equal(handover.seen_after_unlock, 0);
    assert_false(handover.overtook);
    assert_int_equal(handover.second_got_it, 1);
}

static void mutexes_work_without_a_context(void **state)
{
    (void)state;
    Handover handover = {.seen_after_unlock = -1};
    aio_co_resume(aio_co_create(unlock_and_look, &handover));
    aio_co_resume(aio_co_create(second_taker, &handover));
    aio_co_resume(handover.first);
    assert_int_equal(handover.second_got_it, 1);
    assert_false(handover.overtook);
}

/* Several loops, one mutex, one plain counter. */

enum { LOOPS = 3, COROUTINES = 6 };

typedef struct Shared {
    AioCoMutex mutex;
    AioThread *threads[LOOPS];
    long counter; /* plain: the mutex orders it */
    long each;
    atomic_int running;
    atomic_bool wrong_context;
    bool moves;
    int64_t end;
} Shared;

typedef struct Member {
    Shared *shared;
    unsigned random;
    long done;
} Member;

static void add_under_the_mutex(void *opaque)
{
    Member *member = opaque;
    Shared *shared = member->shared;
    for (long i = 0; i < shared->each && fixture_now_ns() < shared->end; i++) {
        AioContext *ctx = aio_context_current();
        aio_co_mutex_lock(&shared->mutex);
        if (aio_context_current() != ctx) {
            atomic_store(&shared->wrong_context, true);
        }
        shared->counter++;
        member->done++;
        aio_co_mutex_unlock(&shared->mutex);
        if (shared->moves) {
            member->random = member->random * 1103515245u + 12345u;
            aio_co_reschedule_self(
                aio_thread_context(shared->threads[(member->random >> 16) % LOOPS]));
        }
    }
    atomic_fetch_sub(&shared->running, 1);
}

static void share_a_counter(bool moves)
{
    AioContextOptions options = {.size = sizeof(options), .poller = fixture_poller()};
    Shared shared = {.each = 20000 * (long)fixture_long(),
                     .moves = moves,
                     .end = fixture_now_ns() + 2000000000 * (int64_t)fixture_long()};
    Member members[COROUTINES];
    for (int i = 0; i < LOOPS; i++) {
        shared.threads[i] = aio_thread_start(&options, NULL);
        assert_non_null(shared.threads[i]);
    }
    atomic_store(&shared.running, COROUTINES);
    for (int i = 0; i < COROUTINES; i++) {
        members[i] = (Member){.shared = &shared, .random = (unsigned)i};
        AioCoroutine *co = aio_co_create(add_under_the_mutex, &members[i]);
        assert_non_null(co);
        aio_co_schedule(aio_thread_context(shared.threads[i % LOOPS]), co);
    }
    int64_t hopeless = fixture_now_ns() + 30000000000 * (int64_t)fixture_long();
    while (atomic_load(&shared.running) > 0) {
        assert_true(fixture_now_ns() < hopeless); /* a waiter that nobody woke */
        fixture_sleep_ms(1);
    }
    long sum = 0;
    for (int i = 0; i < LOOPS; i++) {
        aio_thread_join(shared.threads[i]);
    }
    for (int i = 0; i < COROUTINES; i++) {
        sum += members[i].done;
    }
    assert_true(sum > 0);
    assert_int_equal(shared.counter, sum);
    assert_false(atomic_load(&shared.wrong_context));
}

static void contexts_share_a_counter(void **state)
{
    (void)state;
    share_a_counter(false);
}

static void coroutines_that_move_between_contexts_share_a_counter(void **state)
{
    (void)state;
    share_a_counter(true);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(zero_is_a_free_mutex),
    cmocka_unit_test_home(waiters_get_it_in_the_order_of_their_coming),
    cmocka_unit_test_home(trylock_takes_it_only_where_it_is_free),
    cmocka_unit_test_home(unlock_hands_over_and_the_waiter_runs_later),
    cmocka_unit_test(mutexes_work_without_a_context),
    cmocka_unit_test(contexts_share_a_counter),
    cmocka_unit_test(coroutines_that_move_between_contexts_share_a_counter),
};
TEST_MAIN(tests)
