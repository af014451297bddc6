/*
 * Waiting for a condition from each kind of thread, kicks, and bottom halves that are waited for.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "core/alloc.h"
#include "tests/fixture.h"

#define HAMMER_NS INT64_C(1000000000)

static AioThread *start(void)
{
    AioContextOptions options = {.size = sizeof(options), .poller = fixture_poller()};
    AioThread *thread = aio_thread_start(&options, NULL);
    assert_non_null(thread);
    return thread;
}

static bool is_set(void *opaque)
{
    return *(atomic_bool *)opaque;
}

static void clear(void *opaque)
{
    *(atomic_bool *)opaque = false;
    aio_wait_kick();
}

static void clear_later(void *opaque)
{
    fixture_sleep_ms(10);
    clear(opaque);
}

static void nothing(void *opaque)
{
    (void)opaque;
}

static void a_false_condition_does_not_wait(AioContext *ctx)
{
    AioContextInfo info = {.size = sizeof(info)};
    atomic_bool flag = false;
    aio_wait_while(ctx, is_set, &flag);
    aio_wait_while(NULL, is_set, &flag);
    aio_context_info(ctx, &info);
    assert_int_equal(info.counters.iterations, 0);
}

static void the_home_thread_runs_the_context(AioContext *ctx)
{
    atomic_bool flag = true;
    aio_bh_schedule_oneshot(ctx, nothing, NULL);
    aio_bh_schedule_oneshot(ctx, clear, &flag);
    aio_wait_while(ctx, is_set, &flag);
    assert_false(flag);
    flag = true;
    aio_bh_schedule_oneshot(ctx, clear, &flag);
    aio_wait_while(NULL, is_set, &flag); /* the current one */
    assert_false(flag);
}

static void a_kick_from_elsewhere_wakes_the_home_thread(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    atomic_bool flag = true;
    aio_context_bind(ctx);
    FixtureThread *thread = fixture_thread_start(clear_later, &flag);
    aio_wait_while(ctx, is_set, &flag);
    assert_false(flag);
    fixture_thread_join(thread);
    fixture_context_free(ctx);
}

static void count_run(void *opaque)
{
    atomic_fetch_add((atomic_int *)opaque, 1);
}

static void another_thread_runs_its_own_context(void **state)
{
    (void)state;
    AioThread *thread = start();
    AioContext *own = fixture_context();
    atomic_bool flag = true;
    atomic_int runs = 0;
    aio_context_bind(own);
    aio_bh_schedule_oneshot(own, count_run, &runs);
    aio_bh_schedule_oneshot(aio_thread_context(thread), clear_later, &flag);
    aio_wait_while(aio_thread_context(thread), is_set, &flag);
    assert_false(flag);
    assert_int_equal(runs, 1);
    aio_thread_join(thread);
    fixture_context_free(own);
}

static void a_thread_without_a_context_blocks(void **state)
{
    (void)state;
    AioThread *thread = start();
    for (int i = 0; i < 20; i++) {
        atomic_bool flag = true;
        assert_null(aio_context_current());
        aio_bh_schedule_oneshot(aio_thread_context(thread), i ? clear : clear_later, &flag);
        aio_wait_while(i & 1 ? NULL : aio_thread_context(thread), is_set, &flag);
        assert_false(flag);
    }
    aio_thread_join(thread);
}

static bool is_set_after_kick(void *opaque)
{
    aio_wait_kick(); /* to itself, too: it looks again and again, and does not block */
    static int looks;
    return ++looks < 20 || is_set(opaque);
}

static void a_kick_while_the_condition_is_looked_at_is_not_lost(AioContext *ctx)
{
    atomic_bool flag = false;
    aio_wait_while(NULL, is_set_after_kick, &flag);
    aio_wait_while(ctx, is_set_after_kick, &flag);
}

static void a_kick_for_nobody_wakes_no_loop(void **state)
{
    (void)state;
    AioThread *thread = start();
    AioContextInfo info = {.size = sizeof(info)};
    fixture_sleep_ms(5);
    aio_context_info(aio_thread_context(thread), &info);
    uint64_t before = info.counters.notifier_writes;
    for (int i = 0; i < 100; i++) {
        aio_wait_kick();
    }
    aio_context_info(aio_thread_context(thread), &info);
    assert_int_equal(info.counters.notifier_writes, before);
    aio_thread_join(thread);
}

/* Two threads that wait for each other in turn, each with a context of its own, or without. */
typedef struct Turns {
    _Atomic unsigned turn;
    unsigned rounds;
    bool with_context;
    int64_t until;
} Turns;

typedef struct Player {
    Turns *turns;
    unsigned self;
    unsigned awaited;
} Player;

static bool not_my_turn(void *opaque)
{
    Player *player = opaque;
    return player->turns->turn < player->awaited;
}

static void play(void *opaque)
{
    Player *player = opaque;
    Turns *turns = player->turns;
    AioContext *ctx = NULL;
    if (turns->with_context) {
        ctx = fixture_context();
        aio_context_bind(ctx);
    }
    for (player->awaited = player->self; player->awaited < turns->rounds; player->awaited += 2) {
        aio_wait_while(ctx, not_my_turn, player);
        turns->turn = fixture_now_ns() < turns->until ? turns->turn + 1 : turns->rounds;
        aio_wait_kick();
    }
    if (ctx) {
        fixture_context_free(ctx);
    }
}

static void hammer(bool with_context)
{
    Turns turns = {.rounds = 100000 * fixture_long(),
                   .with_context = with_context,
                   .until = fixture_now_ns() + HAMMER_NS * fixture_long()};
    Player players[2] = {{.turns = &turns, .self = 0}, {.turns = &turns, .self = 1}};
    FixtureThread *threads[2];
    for (int i = 0; i < 2; i++) {
        threads[i] = fixture_thread_start(play, &players[i]);
    }
    for (int i = 0; i < 2; i++) {
        fixture_thread_join(threads[i]);
    }
    assert_int_equal(turns.turn, turns.rounds);
}

static void no_kick_is_lost_between_loops(void **state)
{
    (void)state;
    hammer(true);
}

static void no_kick_is_lost_between_threads_that_block(void **state)
{
    (void)state;
    hammer(false);
}

typedef struct Errand {
    AioContext *there;
    AioContext *back; /* run a bottom half there, from the callback */
    bool at_home;
    int runs;
    bool result;
} Errand;

static void run_errand(void *opaque)
{
    Errand *errand = opaque;
    errand->at_home = aio_context_in_home_thread(errand->there);
    errand->runs++;
    if (errand->back) {
        Errand inner = {.there = errand->back};
        errand->result = aio_wait_bh(errand->back, run_errand, &inner, NULL) && inner.at_home;
    }
}

static void a_bottom_half_elsewhere_is_waited_for(void **state)
{
    (void)state;
    AioThread *thread = start();
    AioContext *there = aio_thread_context(thread);
    for (int i = 0; i < 200; i++) {
        Errand errand = {.there = there};
        assert_true(aio_wait_bh(there, run_errand, &errand, NULL));
        assert_true(errand.at_home);
        assert_int_equal(errand.runs, 1);
    }
    aio_thread_join(thread);
}

static void at_home_it_is_called_at_once(AioContext *ctx)
{
    AioContextInfo info = {.size = sizeof(info)};
    Errand errand = {.there = ctx};
    assert_true(aio_wait_bh(ctx, run_errand, &errand, NULL));
    assert_int_equal(errand.runs, 1);
    aio_context_info(ctx, &info);
    assert_int_equal(info.counters.iterations, 0);
}

static void two_contexts_wait_for_each_other(void **state)
{
    (void)state;
    AioThread *a = start(), *b = start();
    AioContext *own = fixture_context();
    aio_context_bind(own);
    for (int i = 0; i < 200; i++) {
        Errand there_and_back = {.there = aio_thread_context(a), .back = own};
        Errand further = {.there = aio_thread_context(a), .back = aio_thread_context(b)};
        assert_true(aio_wait_bh(there_and_back.there, run_errand, &there_and_back, NULL));
        assert_true(there_and_back.result);
        assert_true(aio_wait_bh(further.there, run_errand, &further, NULL));
        assert_true(further.result);
    }
    aio_thread_join(a);
    aio_thread_join(b);
    fixture_context_free(own);
}

static void memory_refused_is_an_error(void **state)
{
    (void)state;
    AioThread *thread = start();
    Errand errand = {.there = aio_thread_context(thread)};
    AioError *error = NULL;
    aio__alloc_fail_at(1);
    assert_false(aio_wait_bh(errand.there, run_errand, &errand, &error));
    aio__alloc_fail_at(0);
    assert_int_equal(aio_error_code(error), ENOMEM);
    aio_error_free(error);
    assert_int_equal(errand.runs, 0);
    aio_thread_join(thread);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(a_false_condition_does_not_wait),
    cmocka_unit_test_home(the_home_thread_runs_the_context),
    cmocka_unit_test(a_kick_from_elsewhere_wakes_the_home_thread),
    cmocka_unit_test(another_thread_runs_its_own_context),
    cmocka_unit_test(a_thread_without_a_context_blocks),
    cmocka_unit_test_home(a_kick_while_the_condition_is_looked_at_is_not_lost),
    cmocka_unit_test(a_kick_for_nobody_wakes_no_loop),
    cmocka_unit_test(no_kick_is_lost_between_loops),
    cmocka_unit_test(no_kick_is_lost_between_threads_that_block),
    cmocka_unit_test(a_bottom_half_elsewhere_is_waited_for),
    cmocka_unit_test_home(at_home_it_is_called_at_once),
    cmocka_unit_test(two_contexts_wait_for_each_other),
    cmocka_unit_test(memory_refused_is_an_error),
};

TEST_MAIN(tests)
