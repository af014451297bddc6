/*
 * Sleeping coroutines: for a time, until they are woken, or whichever comes first.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/co_help.h"

#define MS INT64_C(1000000)

typedef struct Sleeper {
    AioCoSleep sleep;
    AioContext *ctx; /* where it woke */
    int64_t duration_ns;
    int64_t slept_ns;
    bool woken;
    bool ended;
    atomic_bool ended_elsewhere;
} Sleeper;

static void sleep_a_while(void *opaque)
{
    Sleeper *sleeper = opaque;
    int64_t began = aio_clock_get_ns(AIO_CLOCK_REALTIME);
    aio_co_sleep_ns(AIO_CLOCK_REALTIME, sleeper->duration_ns);
    sleeper->slept_ns = aio_clock_get_ns(AIO_CLOCK_REALTIME) - began;
    sleeper->ctx = aio_context_current();
    sleeper->ended = true;
}

static void sleep_wakeably(void *opaque)
{
    Sleeper *sleeper = opaque;
    sleeper->woken =
        aio_co_sleep_ns_wakeable(&sleeper->sleep, AIO_CLOCK_REALTIME, sleeper->duration_ns);
    sleeper->ctx = aio_context_current();
    sleeper->ended = true;
}

static void sleep_for_ever(void *opaque)
{
    Sleeper *sleeper = opaque;
    aio_co_sleep_forever(&sleeper->sleep);
    sleeper->ctx = aio_context_current();
    sleeper->ended = true;
    atomic_store(&sleeper->ended_elsewhere, true);
}

static void sleep_lasts_its_time_and_the_loop_runs_meanwhile(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Sleeper long_one = {.duration_ns = 8 * MS}, short_one = {.duration_ns = 2 * MS};
    co_start(ctx, sleep_a_while, &long_one);
    co_start(ctx, sleep_a_while, &short_one);
    assert_false(long_one.ended || short_one.ended);
    while (!short_one.ended) {
        drive(ctx, true);
    }
    assert_false(long_one.ended && long_one.slept_ns < 8 * MS);
    while (!long_one.ended) {
        drive(ctx, true);
    }
    assert_true(short_one.slept_ns >= 2 * MS);
    assert_true(long_one.slept_ns >= 8 * MS);
    assert_ptr_equal(long_one.ctx, ctx);
    fixture_context_free(ctx);
}

static void sleep_for_ever_lasts_until_it_is_woken(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Sleeper sleeper = {.ended = false};
    co_start(ctx, sleep_for_ever, &sleeper);
    assert_false(drive(ctx, false));
    assert_int_equal(aio_compute_timeout(ctx), -1);
    assert_false(sleeper.ended);
    aio_co_sleep_wake(&sleeper.sleep);
    assert_true(sleeper.ended);
    fixture_context_free(ctx);
}

static void virtual_sleep(void *opaque)
{
    Sleeper *sleeper = opaque;
    aio_co_sleep_ns(AIO_CLOCK_VIRTUAL, 100);
    sleeper->ended = true;
}

static void virtual_sleep_ends_when_the_program_moves_time(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Sleeper sleeper = {.ended = false};
    aio_clock_set(0);
    aio_clock_enable(AIO_CLOCK_VIRTUAL, true);
    co_start(ctx, virtual_sleep, &sleeper);
    aio_clock_set(99);
    assert_false(drive(ctx, false));
    assert_false(sleeper.ended);
    aio_clock_set(100);
    assert_true(drive(ctx, false));
    assert_true(sleeper.ended);
    aio_clock_enable(AIO_CLOCK_VIRTUAL, false);
    aio_clock_set(0);
    fixture_context_free(ctx);
}

static void wake_ends_a_sleep_early_and_only_once(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Sleeper sleeper = {.duration_ns = 3600 * 1000 * MS};
    aio_co_sleep_wake(&sleeper.sleep); /* nobody sleeps yet */
    co_start(ctx, sleep_wakeably, &sleeper);
    assert_false(sleeper.ended);
    aio_co_sleep_wake(&sleeper.sleep);
    assert_true(sleeper.ended);
    assert_true(sleeper.woken);
    aio_co_sleep_wake(&sleeper.sleep); /* nobody sleeps any more */
    assert_false(drive(ctx, false));
    assert_int_equal(aio_compute_timeout(ctx), -1); /* its timer is gone */
    fixture_context_free(ctx);
}

static void wakeable_sleep_says_when_its_time_was_up(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Sleeper sleeper = {.duration_ns = MS, .woken = true};
    co_start(ctx, sleep_wakeably, &sleeper);
    while (!sleeper.ended) {
        drive(ctx, true);
    }
    assert_false(sleeper.woken);
    fixture_context_free(ctx);
}

static void sleep_beyond_the_end_of_the_clock_can_be_woken(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Sleeper sleeper = {.duration_ns = INT64_MAX};
    co_start(ctx, sleep_wakeably, &sleeper);
    assert_false(drive(ctx, false));
    aio_co_sleep_wake(&sleeper.sleep);
    assert_true(sleeper.ended && sleeper.woken);
    fixture_context_free(ctx);
}

static void wake_from_afar(void *opaque)
{
    Sleeper *sleeper = opaque;
    while (!atomic_load(&sleeper->ended_elsewhere)) {
        aio_co_sleep_wake(&sleeper->sleep);
        fixture_yield();
    }
}

static void wake_from_another_thread_continues_it_at_home(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    for (unsigned i = 0; i < 200 * fixture_long(); i++) {
        Sleeper sleeper = {.ended = false};
        FixtureThread *thread = fixture_thread_start(wake_from_afar, &sleeper);
        co_start(ctx, sleep_for_ever, &sleeper);
        while (!sleeper.ended) {
            drive(ctx, true);
        }
        fixture_thread_join(thread);
        assert_ptr_equal(sleeper.ctx, ctx);
    }
    fixture_context_free(ctx);
}

typedef struct Race {
    Sleeper sleeper;
    atomic_bool stop;
    int rounds;
    int woken;
} Race;

static void sleep_again_and_again(void *opaque)
{
    Race *race = opaque;
    for (int i = 0; i < race->rounds; i++) {
        race->woken += aio_co_sleep_ns_wakeable(&race->sleeper.sleep, AIO_CLOCK_REALTIME, 20000);
    }
    race->sleeper.ended = true;
}

static void wake_again_and_again(void *opaque)
{
    Race *race = opaque;
    while (!atomic_load(&race->stop)) {
        aio_co_sleep_wake(&race->sleeper.sleep);
        fixture_yield();
    }
}

static void timer_and_waker_race_and_one_of_them_wins(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Race race = {.rounds = 2000 * (int)fixture_long()};
    FixtureThread *thread = fixture_thread_start(wake_again_and_again, &race);
    AioCoroutine *co = aio_co_create(sleep_again_and_again, &race);
    assert_non_null(co);
    aio_co_enter(ctx, co);
    while (!race.sleeper.ended) {
        drive(ctx, true);
    }
    atomic_store(&race.stop, true);
    fixture_thread_join(thread);
    assert_in_range(race.woken, 0, race.rounds);
    fixture_context_free(ctx);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(sleep_lasts_its_time_and_the_loop_runs_meanwhile),
    cmocka_unit_test(sleep_for_ever_lasts_until_it_is_woken),
    cmocka_unit_test(virtual_sleep_ends_when_the_program_moves_time),
    cmocka_unit_test(wake_ends_a_sleep_early_and_only_once),
    cmocka_unit_test(wakeable_sleep_says_when_its_time_was_up),
    cmocka_unit_test(sleep_beyond_the_end_of_the_clock_can_be_woken),
    cmocka_unit_test(wake_from_another_thread_continues_it_at_home),
    cmocka_unit_test(timer_and_waker_race_and_one_of_them_wins),
};
TEST_MAIN(tests)
