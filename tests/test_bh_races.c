/*
 * Bottom halves cancelled and deleted at awkward moments: twice, with nested iterations, by other threads.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

typedef struct Victim {
    AioContext *ctx;
    AioBh *bh;
    AioBh *other;
    int runs;
} Victim;

static void count(void *opaque)
{
    Victim *victim = opaque;
    victim->runs++;
}

static void deleting_twice_before_it_is_freed_is_harmless(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Victim victim = {.ctx = ctx};
    AioBh *bh = aio_bh_new(ctx, count, &victim);
    aio_bh_schedule(bh);
    aio_bh_delete(bh);
    aio_bh_delete(bh);
    aio_bh_schedule(bh); /* not undone */
    assert_false(drive(ctx, false));
    assert_int_equal(victim.runs, 0);
    fixture_context_free(ctx);
}

static void delete_both_and_poll(void *opaque)
{
    Victim *victim = opaque;
    victim->runs++;
    aio_bh_delete(victim->other);
    aio_bh_delete(victim->bh);
    for (int i = 0; i < 3; i++) {
        drive(victim->ctx, false); /* frees them */
    }
    victim->runs++;
}

static void bh_deletes_itself_and_another_and_polls(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    for (int scheduled = 0; scheduled < 2; scheduled++) {
        Victim victim = {.ctx = ctx}, other = {.ctx = ctx};
        victim.bh = aio_bh_new(ctx, delete_both_and_poll, &victim);
        victim.other = aio_bh_new(ctx, count, &other);
        aio_bh_schedule(victim.bh);
        if (scheduled) {
            aio_bh_schedule(victim.other);
        }
        assert_true(drive(ctx, true));
        assert_int_equal(victim.runs, 2);
        assert_int_equal(other.runs, 0);
        assert_false(drive(ctx, false));
    }
    fixture_context_free(ctx);
}

static void free_all(void *opaque)
{
    Victim *victim = opaque;
    AioBh *bh = victim->bh;
    free(victim);
    aio_bh_delete(bh);
}

static void bh_frees_itself_and_what_it_works_on(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Victim *victim = malloc(sizeof(*victim));
    assert_non_null(victim);
    victim->bh = aio_bh_new(ctx, free_all, victim);
    aio_bh_schedule(victim->bh);
    assert_true(drive(ctx, true));
    victim = malloc(sizeof(*victim));
    assert_non_null(victim);
    victim->bh = aio_bh_new(ctx, free_all, victim);
    aio_bh_schedule(victim->bh);
    aio_bh_call(victim->bh); /* and its pending run is dropped */
    assert_false(drive(ctx, false));
    fixture_context_free(ctx);
}

static void reschedule_both(void *opaque)
{
    Victim *victim = opaque;
    if (victim->runs++ < 3) {
        aio_bh_schedule(victim->bh);
        aio_bh_schedule_idle(victim->bh);
    }
}

static void idle_schedule_does_not_take_back_a_normal_one(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Victim victim = {.ctx = ctx};
    victim.bh = aio_bh_new(ctx, reschedule_both, &victim);
    aio_bh_schedule(victim.bh);
    aio_bh_schedule_idle(victim.bh);
    for (int i = 1; i <= 4; i++) {
        assert_int_equal(aio_compute_timeout(ctx), 0);
        assert_true(drive(ctx, true));
        assert_int_equal(victim.runs, i);
    }
    assert_int_equal(aio_compute_timeout(ctx), -1);
    aio_bh_schedule_idle(victim.bh);
    aio_bh_cancel(victim.bh); /* takes back the idle one, too */
    assert_false(drive(ctx, false));
    aio_bh_schedule(victim.bh);
    assert_int_equal(aio_compute_timeout(ctx), 0);
    assert_true(drive(ctx, false));
    aio_bh_delete(victim.bh);
    fixture_context_free(ctx);
}

static void cancel_then_schedule(void *opaque)
{
    Victim *victim = opaque;
    aio_bh_cancel(victim->bh);
    fixture_sleep_ms(30);
    aio_bh_schedule(victim->bh);
}

static void cancelled_bh_that_the_loop_still_holds_wakes_it_when_it_is_scheduled(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Victim victim = {.ctx = ctx};
    victim.bh = aio_bh_new(ctx, count, &victim);
    aio_bh_schedule_idle(victim.bh); /* no news, so that nothing takes it off the list */
    FixtureThread *thread = fixture_thread_start(cancel_then_schedule, &victim);
    while (!drive(ctx, true)) {
        continue; /* the idle run, where the cancel came too late */
    }
    fixture_thread_join(thread);
    assert_in_range(victim.runs, 1, 2);
    aio_bh_delete(victim.bh);
    fixture_context_free(ctx);
}

typedef struct Race {
    AioContext *ctx;
    AioBh *bh;
    atomic_int schedules;
    atomic_int runs;
    atomic_int left; /* threads */
    int value;       /* plain, written before the first schedule */
    bool wrong;
} Race;

static void run_race(void *opaque)
{
    Race *race = opaque;
    atomic_fetch_add(&race->runs, 1);
    race->wrong |= race->value != 42;
}

static void schedule_and_cancel(void *opaque)
{
    Race *race = opaque;
    for (int i = 0; i < 30000; i++) {
        atomic_fetch_add(&race->schedules, 1);
        aio_bh_schedule(race->bh);
        if (i % 3) {
            aio_bh_cancel(race->bh);
        }
        if (i % 5 == 0) {
            aio_bh_schedule_idle(race->bh);
        }
    }
    atomic_fetch_sub(&race->left, 1);
    aio_notify(race->ctx);
}

static void schedules_and_cancels_of_many_threads_race_with_the_loop(void **state)
{
    (void)state;
    enum { THREADS = 2 };
    AioContext *ctx = fixture_context();
    Race race = {.ctx = ctx, .value = 42, .left = THREADS};
    FixtureThread *threads[THREADS];
    race.bh = aio_bh_new(ctx, run_race, &race);
    for (int i = 0; i < THREADS; i++) {
        threads[i] = fixture_thread_start(schedule_and_cancel, &race);
    }
    while (atomic_load(&race.left) > 0) {
        drive(ctx, true);
    }
    for (int i = 0; i < THREADS; i++) {
        fixture_thread_join(threads[i]);
    }
    aio_bh_cancel(race.bh);
    int runs = atomic_load(&race.runs);
    assert_false(drive(ctx, false));
    assert_int_equal(atomic_load(&race.runs), runs);
    assert_in_range(runs, 0, atomic_load(&race.schedules) * 2);
    assert_false(race.wrong);
    aio_bh_schedule(race.bh); /* it still can */
    assert_true(drive(ctx, true));
    aio_bh_delete(race.bh);
    fixture_context_free(ctx);
}

static void make_and_delete(void *opaque)
{
    Race *race = opaque;
    for (int i = 0; i < 5000; i++) {
        AioBh *bh = aio_bh_new(race->ctx, run_race, race);
        if (i % 2) {
            aio_bh_schedule(bh);
        }
        if (i % 3 == 0) {
            fixture_yield();
        }
        aio_bh_delete(bh);
    }
    atomic_fetch_sub(&race->left, 1);
    aio_notify(race->ctx);
}

static void bhs_are_made_and_deleted_in_many_threads_while_the_loop_runs(void **state)
{
    (void)state;
    enum { THREADS = 3 };
    AioContext *ctx = fixture_context();
    Race race = {.ctx = ctx, .value = 42, .left = THREADS};
    FixtureThread *threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        threads[i] = fixture_thread_start(make_and_delete, &race);
    }
    while (atomic_load(&race.left) > 0) {
        drive(ctx, true);
    }
    for (int i = 0; i < THREADS; i++) {
        fixture_thread_join(threads[i]);
    }
    fixture_context_free(ctx); /* a leak would be named */
    assert_false(race.wrong);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(deleting_twice_before_it_is_freed_is_harmless),
    cmocka_unit_test(bh_deletes_itself_and_another_and_polls),
    cmocka_unit_test(bh_frees_itself_and_what_it_works_on),
    cmocka_unit_test(idle_schedule_does_not_take_back_a_normal_one),
    cmocka_unit_test(cancelled_bh_that_the_loop_still_holds_wakes_it_when_it_is_scheduled),
    cmocka_unit_test(schedules_and_cancels_of_many_threads_race_with_the_loop),
    cmocka_unit_test(bhs_are_made_and_deleted_in_many_threads_while_the_loop_runs),
};
TEST_MAIN(tests)
