/*
 * How long the loop sleeps for the sake of timers: units, far deadlines, slack.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

#define US INT64_C(1000)
#define MS INT64_C(1000000)
#define HOUR (INT64_C(3600) * 1000 * MS)

static int64_t now(void)
{
    return aio_clock_get_ns(AIO_CLOCK_REALTIME);
}

typedef struct Probe {
    AioTimer timer;
    int runs;
    int64_t ran_at;
} Probe;

static void on_timer(void *opaque)
{
    Probe *probe = opaque;
    probe->runs++;
    probe->ran_at = now();
}

static void probe_init(Probe *probe, AioContext *ctx)
{
    *probe = (Probe){.runs = 0};
    aio_timer_init(ctx, &probe->timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS, on_timer, probe);
}

static void on_byte(void *opaque)
{
    (void)opaque;
}

static void a_millisecond_and_a_half_beside_a_hundred_descriptors(AioContext *ctx)
{
    FixturePair pairs[50];
    AioHandlerOps ops = {.size = sizeof(ops), .read = on_byte};
    for (int i = 0; i < 50; i++) {
        pairs[i] = fixture_pair();
        assert_true(aio_handler_set(ctx, pairs[i].a, fixture_pair_kind(), 0, &ops, NULL, NULL));
        assert_true(aio_handler_set(ctx, pairs[i].b, fixture_pair_kind(), 0, &ops, NULL, NULL));
    }
    Probe probe;
    probe_init(&probe, ctx);
    for (int i = 0; i < 5; i++) {
        int64_t deadline = now() + 1500 * US;
        aio_timer_mod_ns(&probe.timer, deadline);
        assert_true(drive(ctx, true));
        assert_int_equal(probe.runs, i + 1);
        assert_true(probe.ran_at >= deadline);
        assert_true(probe.ran_at < deadline + 1000 * MS); /* a wrong unit would be 1500 s */
    }
    for (int i = 0; i < 50; i++) {
        aio_handler_remove(ctx, pairs[i].a, fixture_pair_kind());
        aio_handler_remove(ctx, pairs[i].b, fixture_pair_kind());
        fixture_pair_close(&pairs[i]);
    }
}

static void far_deadlines_neither_overflow_nor_spin(AioContext *ctx)
{
    static const int64_t far[] = {10 * 1000 * MS, HOUR, 1000 * HOUR, INT64_MAX};
    AioContextInfo before = {.size = sizeof(before)}, after = {.size = sizeof(after)};
    Probe distant, near;
    probe_init(&distant, ctx);
    probe_init(&near, ctx);
    for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
        int64_t start = now();
        aio_timer_mod_ns(&distant.timer, far[i] == INT64_MAX ? INT64_MAX : start + far[i]);
        int64_t timeout = aio_compute_timeout(ctx);
        assert_true(timeout > far[i] - start - 60 * 1000 * MS && timeout <= far[i]);
        aio_context_info(ctx, &before);
        aio_timer_mod_ns(&near.timer, start + 5 * MS);
        assert_true(drive(ctx, true));
        aio_context_info(ctx, &after);
        assert_int_equal(near.runs, i + 1);
        assert_int_equal(distant.runs, 0);
        assert_true(after.counters.waits - before.counters.waits < 10);
    }
    aio_timer_del(&distant.timer);
}

static void slack_lets_wake_ups_coalesce(AioContext *ctx)
{
    AioContextInfo before = {.size = sizeof(before)}, after = {.size = sizeof(after)};
    Probe probes[10];
    int64_t base = now() + 20 * MS;
    aio_context_info(ctx, &before);
    for (int i = 0; i < 10;
         i++) { /* due one after the other; the last moment of the first suits all */
        probe_init(&probes[i], ctx);
        aio_timer_set_slack(&probes[i].timer, i == 0 ? 20 * MS : HOUR);
        aio_timer_mod_ns(&probes[i].timer, base + i * MS);
    }
    int64_t asked = now();
    int64_t timeout = aio_compute_timeout(ctx);
    assert_true(timeout <= base + 20 * MS - asked);
    assert_true(asked + timeout > base + 9 * MS || now() > base); /* else the machine was slow */
    assert_true(drive(ctx, true));
    aio_context_info(ctx, &after);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(probes[i].runs, 1);
        assert_true(probes[i].ran_at >= base + i * MS);
    }
    assert_int_equal(after.counters.sleeps - before.counters.sleeps, 1);
}

static void without_slack_a_timer_limits_the_sleep(AioContext *ctx)
{
    Probe slack, exact;
    probe_init(&slack, ctx);
    probe_init(&exact, ctx);
    int64_t base = now() + HOUR;
    aio_timer_set_slack(&slack.timer, HOUR);
    aio_timer_mod_ns(&slack.timer, base);
    assert_true(aio_compute_timeout(ctx) > HOUR);
    aio_timer_mod_ns(&exact.timer, base + 1);
    assert_true(aio_compute_timeout(ctx) <= HOUR + 1);
    aio_timer_del(&exact.timer);
    assert_true(aio_compute_timeout(ctx) > HOUR + HOUR / 2);
    aio_timer_del(&slack.timer);
    aio_timer_set_slack(&slack.timer, 0);
    aio_timer_mod_ns(&slack.timer, base);
    assert_true(aio_compute_timeout(ctx) <= HOUR);
    aio_timer_del(&slack.timer);
}

static void a_host_runs_what_is_due_within_its_slack(AioContext *ctx)
{
    Probe probe;
    probe_init(&probe, ctx);
    aio_timer_set_slack(&probe.timer, HOUR);
    aio_timer_mod_ns(&probe.timer, now());
    assert_false(aio_prepare(ctx)); /* it may sleep */
    assert_true(aio_compute_timeout(ctx) > HOUR / 2);
    assert_true(aio_pending(ctx)); /* but is awake */
    aio_dispatch(ctx);
    assert_int_equal(probe.runs, 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(a_millisecond_and_a_half_beside_a_hundred_descriptors),
    cmocka_unit_test_home(far_deadlines_neither_overflow_nor_spin),
    cmocka_unit_test_home(slack_lets_wake_ups_coalesce),
    cmocka_unit_test_home(a_host_runs_what_is_due_within_its_slack),
    cmocka_unit_test_home(without_slack_a_timer_limits_the_sleep),
};

TEST_MAIN(tests)
