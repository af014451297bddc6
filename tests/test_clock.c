/*
 * The four clocks, and the timers on those that stop or jump.
 *
 * The clocks are process-wide: each test puts them back as they were.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/clock.h"
#include "tests/fixture.h"

#define MS INT64_C(1000000)
#define SECOND (1000 * MS)
#define HOUR (3600 * SECOND)

typedef struct Probe {
    AioTimer timer;
    AioContext *ctx;
    AioClock clock;
    int64_t ran_at;
    atomic_int runs;
    int64_t set_clock;    /* VIRTUAL, from the callback, where not 0 */
    bool rearm;           /* at once, from the callback */
    bool disable_virtual; /* from the callback */
} Probe;

static void on_timer(void *opaque)
{
    Probe *probe = opaque;
    probe->ran_at = aio_clock_get_ns(probe->clock);
    if (probe->set_clock != 0) {
        aio_clock_set(probe->set_clock);
    }
    if (probe->rearm) {
        aio_timer_mod_ns(&probe->timer, 0);
    }
    if (probe->disable_virtual) {
        aio_clock_enable(AIO_CLOCK_VIRTUAL, false);
    }
    atomic_fetch_add(&probe->runs, 1);
}

static void probe_init(Probe *probe, AioContext *ctx, AioClock clock)
{
    *probe = (Probe){.ctx = ctx, .clock = clock};
    aio_timer_init(ctx, &probe->timer, clock, AIO_SCALE_NS, on_timer, probe);
}

static void virtual_reset(void)
{
    aio_clock_enable(AIO_CLOCK_VIRTUAL, false);
    aio_clock_set(0);
}

static void numbers_and_states_at_the_start(void **state)
{
    (void)state;
    assert_true(AIO_CLOCK_REALTIME == 0 && AIO_CLOCK_VIRTUAL == 1 && AIO_CLOCK_HOST == 2);
    assert_true(AIO_CLOCK_VIRTUAL_RT == 3 && AIO_CLOCK_MAX == 4);
    assert_true(aio_clock_enabled(AIO_CLOCK_REALTIME) && aio_clock_enabled(AIO_CLOCK_HOST));
    assert_true(aio_clock_enabled(AIO_CLOCK_VIRTUAL_RT) && !aio_clock_enabled(AIO_CLOCK_VIRTUAL));
    assert_int_equal(aio_clock_get_ns(AIO_CLOCK_VIRTUAL), 0);
}

static void realtime_goes_on(void **state)
{
    (void)state;
    int64_t before = aio_clock_get_ns(AIO_CLOCK_REALTIME);
    int64_t monotonic = fixture_now_ns();
    assert_true(monotonic >= before);
    fixture_sleep_ms(2);
    assert_true(aio_clock_get_ns(AIO_CLOCK_REALTIME) - before >= 2 * MS);
    int64_t us = aio_clock_get_us(AIO_CLOCK_REALTIME), ms = aio_clock_get_ms(AIO_CLOCK_REALTIME);
    int64_t after = aio_clock_get_ns(AIO_CLOCK_REALTIME);
    assert_true(us >= before / 1000 && us <= after / 1000 && ms >= before / MS && ms <= after / MS);
}

static void soonest_timeout_takes_minus_one_for_ever(void **state)
{
    (void)state;
    assert_int_equal(aio_soonest_timeout(-1, -1), -1);
    assert_int_equal(aio_soonest_timeout(-1, 0), 0);
    assert_int_equal(aio_soonest_timeout(7, -1), 7);
    assert_int_equal(aio_soonest_timeout(INT64_MAX, 9), 9);
    assert_int_equal(aio_soonest_timeout(-1, INT64_MAX), INT64_MAX);
}

static void a_disabled_clock_runs_nothing_and_wakes_nobody(AioContext *ctx)
{
    Probe probe;
    probe_init(&probe, ctx, AIO_CLOCK_VIRTUAL);
    aio_timer_mod_ns(&probe.timer, 0);
    assert_int_equal(aio_compute_timeout(ctx), -1);
    assert_int_equal(aio_clock_deadline_ns(AIO_CLOCK_VIRTUAL, 0), -1);
    assert_false(aio_clock_warp());
    aio_clock_set(HOUR);
    assert_false(drive(ctx, false));
    assert_int_equal(probe.runs, 0);
    assert_true(aio_timer_pending(&probe.timer));
    aio_clock_enable(AIO_CLOCK_VIRTUAL, true);
    assert_int_equal(aio_clock_deadline_ns(AIO_CLOCK_VIRTUAL, 0), 0);
    assert_int_equal(aio_compute_timeout(ctx), 0);
    assert_true(drive(ctx, true));
    assert_int_equal(probe.runs, 1);
    virtual_reset();
}

static void a_deadline_equal_to_now_is_due(AioContext *ctx)
{
    Probe probe;
    aio_clock_enable(AIO_CLOCK_VIRTUAL, true);
    probe_init(&probe, ctx, AIO_CLOCK_VIRTUAL);
    aio_timer_mod_ns(&probe.timer, 1000);
    aio_clock_set(999);
    assert_int_equal(aio_compute_timeout(ctx), -1); /* VIRTUAL does not pass by itself */
    assert_false(drive(ctx, false));
    aio_clock_advance(1);
    assert_true(drive(ctx, false));
    assert_int_equal(probe.ran_at, 1000);
    virtual_reset();
}

static void virtual_sets_advances_and_warps(void **state)
{
    (void)state;
    AioContext *a = fixture_context(), *b = fixture_context();
    Probe late, early;
    aio_clock_enable(AIO_CLOCK_VIRTUAL, true);
    assert_false(aio_clock_warp());
    probe_init(&late, a, AIO_CLOCK_VIRTUAL);
    probe_init(&early, b, AIO_CLOCK_VIRTUAL);
    aio_timer_mod_ns(&late.timer, 5000);
    aio_timer_mod_ns(&early.timer, 3000);
    assert_int_equal(aio_clock_deadline_ns(AIO_CLOCK_VIRTUAL, 0), 3000);
    assert_true(aio_clock_warp());
    assert_int_equal(aio_clock_get_ns(AIO_CLOCK_VIRTUAL), 3000);
    assert_true(aio_clock_warp()); /* one is due: it goes no further */
    assert_int_equal(aio_clock_get_ns(AIO_CLOCK_VIRTUAL), 3000);
    assert_false(drive(a, false));
    assert_true(drive(b, false));
    aio_clock_set(100); /* back */
    assert_int_equal(aio_clock_deadline_ns(AIO_CLOCK_VIRTUAL, 0), 4900);
    aio_clock_advance(4900);
    assert_true(drive(a, false));
    aio_clock_advance(INT64_MAX);
    assert_int_equal(aio_clock_get_ns(AIO_CLOCK_VIRTUAL), INT64_MAX);
    aio_timer_mod_ns(&late.timer, INT64_MAX);
    assert_true(drive(a, false));
    assert_int_equal(late.runs, 2);
    aio_clock_set(-1);
    assert_int_equal(aio_clock_get_ns(AIO_CLOCK_VIRTUAL), 0);
    virtual_reset();
    fixture_context_free(a);
    fixture_context_free(b);
}

static void set_back_in_a_callback_it_runs_none_early(AioContext *ctx)
{
    Probe first, second;
    aio_clock_enable(AIO_CLOCK_VIRTUAL, true);
    probe_init(&first, ctx, AIO_CLOCK_VIRTUAL);
    probe_init(&second, ctx, AIO_CLOCK_VIRTUAL);
    first.set_clock = 15;
    aio_timer_mod_ns(&first.timer, 10);
    aio_timer_mod_ns(&second.timer, 20);
    aio_clock_set(30);
    assert_true(drive(ctx, false));
    assert_int_equal(first.runs, 1);
    assert_int_equal(second.runs, 0);
    aio_clock_set(20);
    assert_true(drive(ctx, false));
    assert_int_equal(second.ran_at, 20);
    virtual_reset();
}

static void deadlines_pass_over_attributes(AioContext *ctx)
{
    Probe probe;
    AioTimer external;
    aio_clock_enable(AIO_CLOCK_VIRTUAL, true);
    probe_init(&probe, ctx, AIO_CLOCK_VIRTUAL);
    aio_timer_init_with_attrs(ctx, &external, AIO_CLOCK_VIRTUAL, AIO_SCALE_NS, AIO_TIMER_EXTERNAL,
                              on_timer, &probe);
    aio_timer_mod_ns(&external, 100);
    assert_int_equal(aio_clock_deadline_ns(AIO_CLOCK_VIRTUAL, 0), 100);
    assert_int_equal(aio_clock_deadline_ns(AIO_CLOCK_VIRTUAL, AIO_TIMER_EXTERNAL), -1);
    aio_timer_mod_ns(&probe.timer, 300);
    assert_int_equal(aio_clock_deadline_ns(AIO_CLOCK_VIRTUAL, AIO_TIMER_EXTERNAL), 300);
    aio_clock_set(100);
    assert_true(drive(ctx, false)); /* it runs like any other */
    assert_int_equal(probe.runs, 1);
    aio_timer_del(&probe.timer);
    AioTimer *made = aio_timer_new_with_attrs(ctx, AIO_CLOCK_VIRTUAL, AIO_SCALE_NS,
                                              AIO_TIMER_EXTERNAL, on_timer, &probe);
    assert_non_null(made);
    aio_timer_mod_ns(made, 100);
    assert_int_equal(aio_clock_deadline_ns(AIO_CLOCK_VIRTUAL, AIO_TIMER_EXTERNAL), -1);
    aio_timer_free(made);
    virtual_reset();
}

static void virtual_rt_stands_while_disabled(AioContext *ctx)
{
    Probe probe;
    probe_init(&probe, ctx, AIO_CLOCK_VIRTUAL_RT);
    int64_t before = aio_clock_get_ns(AIO_CLOCK_VIRTUAL_RT);
    fixture_sleep_ms(1);
    aio_clock_enable(AIO_CLOCK_VIRTUAL_RT, false);
    int64_t stood_at = aio_clock_get_ns(AIO_CLOCK_VIRTUAL_RT);
    assert_true(stood_at - before >= MS);
    aio_timer_mod_ns(&probe.timer, stood_at + 2 * MS);
    fixture_sleep_ms(20);
    assert_int_equal(aio_clock_get_ns(AIO_CLOCK_VIRTUAL_RT), stood_at);
    assert_int_equal(aio_compute_timeout(ctx), -1);
    assert_false(drive(ctx, false));
    int64_t enabled_at = fixture_now_ns();
    aio_clock_enable(AIO_CLOCK_VIRTUAL_RT, true);
    assert_true(drive(ctx, true));
    assert_true(probe.ran_at >= stood_at + 2 * MS);
    assert_true(fixture_now_ns() - enabled_at >= 2 * MS);
    assert_true(aio_clock_get_ns(AIO_CLOCK_VIRTUAL_RT) - stood_at <= fixture_now_ns() - enabled_at);
}

/* The wall clock of the tests below. */
static _Atomic int64_t wall = 1000000 * SECOND;

static int64_t read_wall(void)
{
    return wall;
}

static void host_follows_jumps_of_the_wall_clock(AioContext *ctx)
{
    Probe probe;
    aio__clock_override(AIO_CLOCK_HOST, read_wall);
    int64_t base = aio_clock_get_ns(AIO_CLOCK_HOST);
    probe_init(&probe, ctx, AIO_CLOCK_HOST);
    aio_timer_mod_ns(&probe.timer, base + HOUR);
    assert_int_equal(aio_compute_timeout(ctx), SECOND); /* it looks at the clock again by then */
    aio_timer_mod_ns(&probe.timer, base + 10 * MS);
    assert_int_equal(aio_compute_timeout(ctx), 10 * MS);
    wall -= HOUR; /* back: it waits */
    assert_int_equal(aio_compute_timeout(ctx), SECOND);
    assert_false(drive(ctx, false));
    wall += HOUR + 10 * MS; /* forwards: due at once */
    assert_int_equal(aio_compute_timeout(ctx), 0);
    assert_true(drive(ctx, true));
    assert_int_equal(probe.ran_at, base + 10 * MS);
    aio__clock_override(AIO_CLOCK_HOST, NULL);
}

static void jump_soon(void *opaque)
{
    (void)opaque;
    fixture_sleep_ms(30);
    wall += HOUR;
}

static void host_notices_a_jump_while_asleep(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    AioContextInfo info = {.size = sizeof(info)};
    Probe probe;
    aio__clock_override(AIO_CLOCK_HOST, read_wall);
    probe_init(&probe, ctx, AIO_CLOCK_HOST);
    aio_timer_mod_ns(&probe.timer, aio_clock_get_ns(AIO_CLOCK_HOST) + HOUR);
    FixtureThread *thread = fixture_thread_start(jump_soon, NULL);
    assert_true(drive(ctx, true));
    assert_int_equal(probe.runs, 1);
    fixture_thread_join(thread);
    aio_context_info(ctx, &info);
    assert_true(info.counters.waits < 10);
    aio__clock_override(AIO_CLOCK_HOST, NULL);
    fixture_context_free(ctx);
}

static void host_is_the_wall_clock(AioContext *ctx)
{
    Probe probe;
    int64_t now = aio_clock_get_ns(AIO_CLOCK_HOST);
    assert_true(now > INT64_C(1577836800) * SECOND); /* 2020 */
    probe_init(&probe, ctx, AIO_CLOCK_HOST);
    aio_timer_mod_ns(&probe.timer, now + 2 * MS);
    assert_true(drive(ctx, true));
    assert_true(probe.ran_at >= now + 2 * MS);
}

static void run_until_stopped(void *opaque)
{
    AioContext *ctx = opaque;
    aio_context_run(ctx);
    aio_context_unbind(ctx);
}

static void moving_virtual_wakes_a_sleeping_loop(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Probe probe;
    probe_init(&probe, ctx, AIO_CLOCK_VIRTUAL);
    FixtureThread *thread = fixture_thread_start(run_until_stopped, ctx);
    for (int round = 0; round < 300; round++) {
        aio_timer_mod_ns(&probe.timer, aio_clock_get_ns(AIO_CLOCK_VIRTUAL) + (round % 3 ? 10 : 0));
        if (round % 3 == 0) { /* due, but for the clock */
            aio_clock_enable(AIO_CLOCK_VIRTUAL, true);
        } else if (round % 3 == 1) {
            aio_clock_advance(10);
        } else {
            assert_true(aio_clock_warp());
        }
        while (probe.runs == round) {
            fixture_yield();
        }
        if (round % 3 == 2) {
            aio_clock_enable(AIO_CLOCK_VIRTUAL, false);
        }
    }
    aio_context_stop(ctx);
    fixture_thread_join(thread);
    assert_int_equal(probe.runs, 300);
    virtual_reset();
    fixture_context_free(ctx);
}

static void disabling_waits_for_callbacks(void **state)
{
    (void)state;
    AioContext *ctx[2] = {fixture_context(), fixture_context()};
    FixtureThread *threads[2];
    Probe probes[2];
    aio_clock_enable(AIO_CLOCK_VIRTUAL, true);
    for (int i = 0; i < 2; i++) {
        probe_init(&probes[i], ctx[i], AIO_CLOCK_VIRTUAL);
        probes[i].rearm = true;
        aio_timer_mod_ns(&probes[i].timer, 0);
        threads[i] = fixture_thread_start(run_until_stopped, ctx[i]);
    }
    int moved = 0;
    int64_t end = fixture_now_ns() + 10 * SECOND; /* the threads may be slow to begin */
    for (unsigned round = 0; round < 50 * fixture_long() || (moved == 0 && fixture_now_ns() < end);
         round++) {
        aio_clock_enable(AIO_CLOCK_VIRTUAL, true);
        fixture_yield();
        aio_clock_enable(AIO_CLOCK_VIRTUAL, false);
        int before[2] = {probes[0].runs, probes[1].runs};
        int64_t ran_at[2] = {probes[0].ran_at, probes[1].ran_at}; /* a race, if one still ran */
        for (int spin = 0; spin < 3; spin++) {
            fixture_yield();
        }
        for (int i = 0; i < 2; i++) {
            assert_int_equal(probes[i].runs, before[i]);
            assert_int_equal(probes[i].ran_at, ran_at[i]);
            moved += before[i] > 0;
        }
    }
    assert_true(moved > 0);
    for (int i = 0; i < 2; i++) {
        aio_timer_del(&probes[i].timer);
        aio_context_stop(ctx[i]);
        fixture_thread_join(threads[i]);
        fixture_context_free(ctx[i]);
    }
    virtual_reset();
}

static void disable_virtual(void *opaque)
{
    (void)opaque;
    aio_clock_enable(AIO_CLOCK_VIRTUAL, false);
}

static void wait_for_disabling(void *opaque)
{
    FixtureThread **thread = opaque;
    *thread = fixture_thread_start(disable_virtual, NULL); /* it waits for this callback */
    while (aio_clock_enabled(AIO_CLOCK_VIRTUAL)) {
        fixture_yield();
    }
}

static void disabled_during_a_run_it_runs_no_further_callback(AioContext *ctx)
{
    FixtureThread *thread = NULL;
    AioTimer first;
    Probe second;
    aio_clock_enable(AIO_CLOCK_VIRTUAL, true);
    aio_timer_init(ctx, &first, AIO_CLOCK_VIRTUAL, AIO_SCALE_NS, wait_for_disabling, &thread);
    probe_init(&second, ctx, AIO_CLOCK_VIRTUAL);
    aio_timer_mod_ns(&first, 0);
    aio_timer_mod_ns(&second.timer, 0);
    assert_true(drive(ctx, false));
    fixture_thread_join(thread);
    assert_int_equal(second.runs, 0);
    assert_true(aio_timer_pending(&second.timer));
    aio_timer_del(&second.timer);
    virtual_reset();
}

static void disable_own(void *opaque)
{
    (void)opaque;
    AioContext *ctx = fixture_context();
    Probe probe;
    aio_clock_enable(AIO_CLOCK_VIRTUAL, true);
    probe_init(&probe, ctx, AIO_CLOCK_VIRTUAL);
    probe.disable_virtual = true;
    aio_timer_mod_ns(&probe.timer, 0);
    drive(ctx, false);
}

static void disabling_a_clock_from_its_own_callback_is_fatal(void **state)
{
    (void)state;
    assert_true(fixture_dies(disable_own, NULL, "VIRTUAL"));
}

static void disabling_a_clock_from_another_ones_callback(AioContext *ctx)
{
    Probe realtime, victim;
    aio_clock_enable(AIO_CLOCK_VIRTUAL, true);
    probe_init(&realtime, ctx, AIO_CLOCK_REALTIME);
    probe_init(&victim, ctx, AIO_CLOCK_VIRTUAL);
    realtime.disable_virtual = true;
    aio_timer_mod_ns(&realtime.timer, 0);
    aio_timer_mod_ns(&victim.timer, 0);
    assert_true(drive(ctx, false)); /* REALTIME goes first */
    assert_int_equal(realtime.runs, 1);
    assert_int_equal(victim.runs, 0);
    aio_timer_del(&victim.timer);
    virtual_reset();
}

static void each_context_runs_its_own_timers(void **state)
{
    (void)state;
    AioContext *a = fixture_context(), *b = fixture_context();
    Probe probes[AIO_CLOCK_MAX];
    aio_clock_enable(AIO_CLOCK_VIRTUAL, true);
    for (int clock = 0; clock < AIO_CLOCK_MAX; clock++) {
        probe_init(&probes[clock], a, (AioClock)clock);
        aio_timer_mod_ns(&probes[clock].timer, 0);
    }
    assert_int_equal(aio_compute_timeout(b), -1);
    assert_false(drive(b, false));
    assert_true(drive(a, false));
    for (int clock = 0; clock < AIO_CLOCK_MAX; clock++) {
        assert_int_equal(probes[clock].runs, 1);
    }
    virtual_reset();
    fixture_context_free(a);
    fixture_context_free(b);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(numbers_and_states_at_the_start),
    cmocka_unit_test(realtime_goes_on),
    cmocka_unit_test(soonest_timeout_takes_minus_one_for_ever),
    cmocka_unit_test_home(a_disabled_clock_runs_nothing_and_wakes_nobody),
    cmocka_unit_test_home(a_deadline_equal_to_now_is_due),
    cmocka_unit_test(virtual_sets_advances_and_warps),
    cmocka_unit_test_home(set_back_in_a_callback_it_runs_none_early),
    cmocka_unit_test_home(deadlines_pass_over_attributes),
    cmocka_unit_test_home(virtual_rt_stands_while_disabled),
    cmocka_unit_test_home(host_follows_jumps_of_the_wall_clock),
    cmocka_unit_test(host_notices_a_jump_while_asleep),
    cmocka_unit_test_home(host_is_the_wall_clock),
    cmocka_unit_test(moving_virtual_wakes_a_sleeping_loop),
    cmocka_unit_test(disabling_waits_for_callbacks),
    cmocka_unit_test_home(disabled_during_a_run_it_runs_no_further_callback),
    cmocka_unit_test(disabling_a_clock_from_its_own_callback_is_fatal),
    cmocka_unit_test_home(disabling_a_clock_from_another_ones_callback),
    cmocka_unit_test(each_context_runs_its_own_timers),
};

TEST_MAIN(tests)
