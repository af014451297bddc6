/*
 * Timers armed and deleted by other threads than the one that runs them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

#define MS INT64_C(1000000)
#define HOUR (INT64_C(3600) * 1000 * MS)

static int64_t now(void)
{
    return aio_clock_get_ns(AIO_CLOCK_REALTIME);
}

static void count_run(void *opaque)
{
    atomic_fetch_add((atomic_int *)opaque, 1);
}

static void run_until_stopped(void *opaque)
{
    AioContext *ctx = opaque;
    aio_context_run(ctx);
    aio_context_unbind(ctx);
}

static AioContextCounters counters(AioContext *ctx)
{
    AioContextInfo info = {.size = sizeof(info)};
    aio_context_info(ctx, &info);
    return info.counters;
}

/* Until the loop in the other thread sleeps for good. */
static void let_it_sleep(AioContext *ctx)
{
    uint64_t sleeps;
    do {
        sleeps = counters(ctx).sleeps;
        fixture_sleep_ms(5);
    } while (sleeps == 0 || counters(ctx).sleeps != sleeps);
}

static void an_earlier_timer_wakes_the_sleeping_loop(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    AioTimer distant, near;
    atomic_int distant_runs = 0, near_runs = 0;
    aio_timer_init(ctx, &distant, AIO_CLOCK_REALTIME, AIO_SCALE_NS, count_run, &distant_runs);
    aio_timer_init(ctx, &near, AIO_CLOCK_REALTIME, AIO_SCALE_NS, count_run, &near_runs);
    aio_timer_mod_ns(&distant, now() + HOUR);
    FixtureThread *thread = fixture_thread_start(run_until_stopped, ctx);
    for (int round = 0; round < 200; round++) {
        aio_timer_mod_ns(&near, now() + (round % 4) * MS / 8);
        while (near_runs == round) {
            fixture_yield();
        }
        if (round % 50 == 0) {
            let_it_sleep(ctx);
        }
    }
    aio_context_stop(ctx);
    fixture_thread_join(thread);
    assert_int_equal(near_runs, 200);
    assert_int_equal(distant_runs, 0);
    aio_timer_del(&distant);
    fixture_context_free(ctx);
}

static void only_what_becomes_the_earliest_wakes(void **state)
{
    (void)state;
    enum { COUNT = 50 };
    AioContext *ctx = fixture_context();
    AioTimer first, others[COUNT], slack, stopped;
    atomic_int runs = 0;
    int64_t base = now() + HOUR;
    aio_timer_init(ctx, &first, AIO_CLOCK_REALTIME, AIO_SCALE_NS, count_run, &runs);
    aio_timer_mod_ns(&first, base);
    FixtureThread *thread = fixture_thread_start(run_until_stopped, ctx);
    let_it_sleep(ctx);
    uint64_t before = counters(ctx).notifier_writes;
    for (int i = 0; i < COUNT; i++) {
        aio_timer_init(ctx, &others[i], AIO_CLOCK_REALTIME, AIO_SCALE_NS, count_run, &runs);
        aio_timer_mod_ns(&others[i], base + 1 + i);
        aio_timer_mod_ns(&others[i], base + 2 * COUNT - i);
        aio_timer_mod_anticipate_ns(&others[i], base + i);
        aio_timer_mod_anticipate_ns(&others[i], base + COUNT);
    }
    /* Earlier, but in no hurry. */
    aio_timer_init(ctx, &slack, AIO_CLOCK_REALTIME, AIO_SCALE_NS, count_run, &runs);
    aio_timer_set_slack(&slack, HOUR);
    aio_timer_mod_ns(&slack, base - HOUR / 2);
    aio_timer_mod_ns(&others[0], base + 1);
    /* On a clock that does not pass by itself, and on one that is disabled. */
    aio_timer_init(ctx, &stopped, AIO_CLOCK_VIRTUAL, AIO_SCALE_NS, count_run, &runs);
    aio_clock_enable(AIO_CLOCK_VIRTUAL, true);
    aio_timer_mod_ns(&stopped, 1000);
    aio_clock_set(999);
    aio_clock_enable(AIO_CLOCK_VIRTUAL, false);
    aio_clock_set(0);
    aio_timer_mod_ns(&stopped, 0);
    for (int i = 0; i < COUNT; i++) {
        aio_timer_del(&others[i]);
    }
    assert_int_equal(counters(ctx).notifier_writes, before);
    aio_timer_mod_ns(&first, base - 1);
    assert_int_equal(counters(ctx).notifier_writes, before + 1);

    aio_context_stop(ctx);
    fixture_thread_join(thread);
    assert_int_equal(runs, 0);
    aio_timer_del(&first);
    aio_timer_del(&slack);
    aio_timer_del(&stopped);
    fixture_context_free(ctx);
}

/* A thread that arms and deletes timers of a context which another one runs. */
enum { MANY = 24 };

typedef struct Tormentor {
    AioTimer timers[MANY];
    atomic_int runs;
    unsigned rounds;
    uint64_t seed;
} Tormentor;

static void torment(void *opaque)
{
    Tormentor *t = opaque;
    for (unsigned round = 0; round < t->rounds; round++) {
        t->seed = t->seed * 6364136223846793005u + 1442695040888963407u;
        unsigned r = (unsigned)(t->seed >> 33);
        AioTimer *timer = &t->timers[r % MANY];
        int64_t base = now();
        switch (r / MANY % 6) {
        case 0:
            aio_timer_del(timer);
            break;
        case 1:
            aio_timer_mod_anticipate_ns(timer, base + r % 1000000);
            break;
        case 2:
            aio_timer_mod_ns(timer, base + HOUR);
            break;
        case 3:
            aio_timer_pending(timer);
            break;
        default:
            aio_timer_mod_ns(timer, base + r % 300000);
        }
        if (round % 64 == 0) {
            fixture_yield();
        }
    }
    for (int i = 0; i < MANY; i++) {
        aio_timer_del(&t->timers[i]);
    }
}

static void many_threads_arm_and_delete(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    static Tormentor tormentors[3];
    FixtureThread *threads[3];
    for (int t = 0; t < 3; t++) {
        tormentors[t] = (Tormentor){.rounds = 60000 * fixture_long(), .seed = (uint64_t)t};
        for (int i = 0; i < MANY; i++) {
            aio_timer_init(ctx, &tormentors[t].timers[i], AIO_CLOCK_REALTIME, AIO_SCALE_NS,
                           count_run, &tormentors[t].runs);
        }
    }
    FixtureThread *loop = fixture_thread_start(run_until_stopped, ctx);
    for (int t = 0; t < 3; t++) {
        threads[t] = fixture_thread_start(torment, &tormentors[t]);
    }
    for (int t = 0; t < 3; t++) {
        fixture_thread_join(threads[t]);
    }
    aio_context_stop(ctx);
    fixture_thread_join(loop);
    int runs = 0;
    for (int t = 0; t < 3; t++) {
        runs += tormentors[t].runs;
        for (int i = 0; i < MANY; i++) {
            assert_false(aio_timer_pending(&tormentors[t].timers[i]));
        }
    }
    assert_true(runs > 0);
    assert_int_equal(aio_compute_timeout(ctx), -1);
    fixture_context_free(ctx);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_earlier_timer_wakes_the_sleeping_loop),
    cmocka_unit_test(only_what_becomes_the_earliest_wakes),
    cmocka_unit_test(many_threads_arm_and_delete),
};

TEST_MAIN(tests)
