/*
 * Timers in one thread: when they run, in which order, and what may be done with them. How long the loop
 * sleeps for their sake is in test_timer_wait.c, clocks in test_clock.c, threads in
 * test_timer_threads.c.
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

/* Notes the order of runs, and does what a test asks for in its callback. */
typedef struct Probe {
    AioContext *ctx;
    AioTimer timer;
    int runs;
    int64_t ran_at;
    bool was_pending; /* in the callback */
    int64_t rearm_at; /* from the callback, where not 0 */
    int rearms;       /* so many times */
    AioTimer *delete; /* from the callback */
    int64_t deadline; /* of all timers, after that */
    AioTimer *arm;    /* from the callback, at 1 */
    bool nested;      /* poll from the callback */
    bool inner;       /* what that said */
    struct Probe **log;
    int *logged;
} Probe;

static void on_timer(void *opaque)
{
    Probe *probe = opaque;
    probe->runs++;
    probe->ran_at = now();
    probe->was_pending = aio_timer_pending(&probe->timer);
    if (probe->log) {
        probe->log[(*probe->logged)++] = probe;
    }
    if (probe->rearms > 0) {
        probe->rearms--;
        aio_timer_mod_ns(&probe->timer, probe->rearm_at);
    }
    if (probe->arm) {
        aio_timer_mod_ns(probe->arm, 1);
    }
    if (probe->delete) {
        aio_timer_del(probe->delete);
        probe->deadline = aio_clock_deadline_ns(AIO_CLOCK_REALTIME, 0);
    }
    if (probe->nested) {
        probe->nested = false;
        probe->inner = drive(probe->ctx, false);
    }
}

static void probe_init(Probe *probe, AioContext *ctx)
{
    *probe = (Probe){.ctx = ctx};
    aio_timer_init(ctx, &probe->timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS, on_timer, probe);
}

static void never_early_and_true(AioContext *ctx)
{
    Probe probe;
    probe_init(&probe, ctx);
    for (int i = 0; i < 40; i++) {
        int64_t deadline = now() + i * 83 * US + i * 7;
        aio_timer_mod_ns(&probe.timer, deadline);
        assert_true(drive(ctx, true));
        assert_int_equal(probe.runs, i + 1);
        assert_true(probe.ran_at >= deadline);
    }
}

static void fires_once(AioContext *ctx)
{
    Probe probe;
    probe_init(&probe, ctx);
    assert_false(drive(ctx, false));
    aio_timer_mod_ns(&probe.timer, now() + HOUR);
    assert_false(drive(ctx, false));
    assert_int_equal(probe.runs, 0);
    aio_timer_mod_ns(&probe.timer, now());
    assert_true(drive(ctx, false));
    assert_false(drive(ctx, false));
    assert_int_equal(probe.runs, 1);
}

static void deadlines_run_in_order_and_equal_ones_in_arming_order(AioContext *ctx)
{
    enum { COUNT = 60 };
    Probe probes[COUNT], *log[COUNT];
    int logged = 0;
    for (int i = 0; i < COUNT; i++) {
        probe_init(&probes[i], ctx);
        probes[i].log = log;
        probes[i].logged = &logged;
        aio_timer_mod_ns(&probes[i].timer, 100 + i % 3);
    }
    for (int i = 0; i < COUNT; i += 2) { /* armed again at the same time: behind the others */
        aio_timer_mod_ns(&probes[i].timer, 100 + i % 3);
    }
    assert_true(drive(ctx, false));
    assert_int_equal(logged, COUNT);
    int at = 0;
    for (int deadline = 0; deadline < 3; deadline++) {
        for (int again = 0; again < 2; again++) {
            for (int i = 0; i < COUNT; i++) {
                if (i % 3 == deadline && (i % 2 == 0) == again) {
                    assert_ptr_equal(log[at++], &probes[i]);
                }
            }
        }
    }
}

static void negative_time_is_due_at_once(AioContext *ctx)
{
    Probe probe;
    probe_init(&probe, ctx);
    aio_timer_mod(&probe.timer, INT64_MIN);
    assert_int_equal(aio_timer_expire_time_ns(&probe.timer), 0);
    assert_int_equal(aio_compute_timeout(ctx), 0);
    assert_true(drive(ctx, true));
    assert_int_equal(probe.runs, 1);
}

static void mod_moves_and_anticipate_only_forward(AioContext *ctx)
{
    Probe probe;
    probe_init(&probe, ctx);
    int64_t base = now() + HOUR;
    aio_timer_mod_anticipate_ns(&probe.timer, base);
    assert_int_equal(aio_timer_expire_time_ns(&probe.timer), base);
    aio_timer_mod_anticipate_ns(&probe.timer, base + 1);
    assert_int_equal(aio_timer_expire_time_ns(&probe.timer), base);
    aio_timer_mod_anticipate(&probe.timer, base - 1);
    assert_int_equal(aio_timer_expire_time_ns(&probe.timer), base - 1);
    aio_timer_mod_ns(&probe.timer, base + 2);
    assert_int_equal(aio_timer_expire_time_ns(&probe.timer), base + 2);
    aio_timer_del(&probe.timer);
    assert_false(drive(ctx, false));
    assert_int_equal(probe.runs, 0);
}

static void scales_convert_and_saturate(void **state)
{
    (void)state;
    static const int scales[] = {AIO_SCALE_NS, AIO_SCALE_US, AIO_SCALE_MS, AIO_SCALE_S, 7};
    AioContext *ctx = fixture_context();
    for (size_t i = 0; i < sizeof(scales) / sizeof(scales[0]); i++) {
        AioTimer timer;
        Probe probe = {.ctx = ctx};
        int64_t scale = scales[i], largest = INT64_MAX / scale;
        aio_timer_init(ctx, &timer, AIO_CLOCK_REALTIME, scales[i], on_timer, &probe);
        aio_timer_mod(&timer, INT32_MAX);
        assert_int_equal(aio_timer_expire_time_ns(&timer), INT32_MAX * scale);
        aio_timer_mod(&timer, largest);
        assert_int_equal(aio_timer_expire_time_ns(&timer), largest * scale);
        aio_timer_mod(&timer, INT64_MAX);
        assert_int_equal(aio_timer_expire_time_ns(&timer), INT64_MAX);
        aio_timer_mod(&timer, UINT32_MAX);
        assert_int_equal(aio_timer_expire_time_ns(&timer), UINT32_MAX * scale);
        assert_false(aio_timer_expired(&timer, UINT32_MAX - INT64_C(1)));
        assert_true(aio_timer_expired(&timer, UINT32_MAX));
        assert_true(aio_timer_expired(&timer, INT64_MAX));
        aio_timer_del(&timer);
    }
    fixture_context_free(ctx);
}

static void rearmed_in_the_past_runs_once_an_iteration(AioContext *ctx)
{
    Probe self, other;
    probe_init(&self, ctx);
    probe_init(&other, ctx);
    self.rearm_at = 1;
    self.rearms = 3;
    aio_timer_mod_ns(&self.timer, 2);
    aio_timer_mod_ns(&other.timer, 3); /* later than what it arms: must not be held up */
    for (int i = 1; i <= 4; i++) {
        assert_true(drive(ctx, i & 1));
        assert_int_equal(self.runs, i);
        assert_int_equal(other.runs, 1);
    }
    assert_false(drive(ctx, false));
}

static void armed_in_the_past_by_another_waits_for_the_next_iteration(AioContext *ctx)
{
    Probe first, second;
    probe_init(&first, ctx);
    probe_init(&second, ctx);
    first.arm = &second.timer;
    aio_timer_mod_ns(&first.timer, 2);
    assert_true(drive(ctx, false));
    assert_int_equal(second.runs, 0);
    assert_true(aio_timer_pending(&second.timer));
    assert_int_equal(aio_timer_expire_time_ns(&second.timer), 1);
    assert_int_equal(aio_compute_timeout(ctx), 0);
    assert_true(drive(ctx, true));
    assert_int_equal(second.runs, 1);

    /* The same with one that is deleted before it comes to that. */
    aio_timer_mod_ns(&first.timer, 2);
    assert_true(drive(ctx, false));
    aio_timer_del(&second.timer);
    assert_false(aio_timer_pending(&second.timer));
    assert_int_equal(aio_compute_timeout(ctx), -1);
    assert_false(drive(ctx, false));
    assert_int_equal(second.runs, 1);
}

static void in_its_callback_a_timer_is_unarmed(AioContext *ctx)
{
    Probe probe;
    probe_init(&probe, ctx);
    probe.was_pending = true;
    probe.delete = &probe.timer; /* no effect */
    probe.rearms = 1;
    probe.rearm_at = now() + HOUR;
    aio_timer_mod_ns(&probe.timer, 1);
    assert_true(drive(ctx, false));
    assert_false(probe.was_pending);
    assert_false(aio_timer_pending(&probe.timer)); /* armed, then deleted */
}

static void free_self(void *opaque)
{
    AioTimer **timer = opaque;
    aio_timer_free(*timer);
    *timer = NULL;
}

static void a_callback_may_free_its_timer(AioContext *ctx)
{
    AioTimer *timer = aio_timer_new(ctx, AIO_CLOCK_REALTIME, AIO_SCALE_NS, free_self, &timer);
    assert_non_null(timer);
    aio_timer_mod_ns(timer, 0);
    assert_true(drive(ctx, false));
    assert_null(timer);
}

static void free_disarms(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Probe probe = {.ctx = ctx};
    aio_timer_free(NULL);
    AioTimer *timer = aio_timer_new(ctx, AIO_CLOCK_REALTIME, AIO_SCALE_NS, on_timer, &probe);
    assert_non_null(timer);
    aio_timer_mod_ns(timer, 0);
    aio_timer_free(timer);
    assert_int_equal(aio_compute_timeout(ctx), -1);
    assert_false(drive(ctx, false));
    assert_int_equal(probe.runs, 0);
    fixture_context_free(ctx);
}

static void deinit_disarms_and_del_repeats(AioContext *ctx)
{
    Probe probe;
    AioTimer zeroed = {.list = NULL};
    probe_init(&probe, ctx);
    aio_timer_mod_ns(&probe.timer, 0);
    aio_timer_del(&probe.timer);
    aio_timer_del(&probe.timer);
    aio_timer_mod_ns(&probe.timer, 0);
    aio_timer_deinit(&probe.timer);
    aio_timer_del(&probe.timer);
    aio_timer_del(&zeroed);
    assert_false(aio_timer_pending(&probe.timer));
    assert_false(drive(ctx, false));
    assert_int_equal(probe.runs, 0);
}

static void deleted_by_an_earlier_one_does_not_run(AioContext *ctx)
{
    Probe first, second;
    probe_init(&first, ctx);
    probe_init(&second, ctx);
    first.delete = &second.timer;
    aio_timer_mod_ns(&first.timer, 1);
    aio_timer_mod_ns(&second.timer, 2);
    assert_true(drive(ctx, false));
    assert_false(drive(ctx, false));
    assert_int_equal(first.runs, 1);
    assert_int_equal(first.deadline, -1);
    assert_int_equal(second.runs, 0);
}

static void pending_and_expired(AioContext *ctx)
{
    Probe probe;
    probe_init(&probe, ctx);
    assert_false(aio_timer_pending(&probe.timer));
    assert_true(aio_timer_expired(&probe.timer, 0));
    assert_true(aio_timer_expire_time_ns(&probe.timer) == UINT64_MAX);
    aio_timer_mod_ns(&probe.timer, 1000);
    assert_true(aio_timer_pending(&probe.timer));
    assert_false(aio_timer_expired(&probe.timer, 999));
    assert_true(aio_timer_expired(&probe.timer, 1000));
    assert_int_equal(aio_timer_expire_time_ns(&probe.timer), 1000);
    aio_timer_del(&probe.timer);
}

static void a_nested_poll_runs_what_the_outer_has_not(AioContext *ctx)
{
    Probe outer, rest[3];
    probe_init(&outer, ctx);
    outer.nested = true;
    outer.rearms = 1;
    outer.rearm_at = 1; /* it runs in the nested one, and not again in the outer one */
    aio_timer_mod_ns(&outer.timer, 1);
    for (int i = 0; i < 3; i++) {
        probe_init(&rest[i], ctx);
        rest[i].rearms = 1;
        rest[i].rearm_at = 1;
        aio_timer_mod_ns(&rest[i].timer, 2 + i);
    }
    assert_true(drive(ctx, false));
    assert_true(outer.inner);
    assert_int_equal(outer.runs, 2);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rest[i].runs, 1);
    }
    assert_true(drive(ctx, false));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rest[i].runs, 2);
    }
    assert_int_equal(outer.runs, 2);
    assert_false(drive(ctx, false));
}

static void nothing(void *opaque)
{
    (void)opaque;
}

static void free_with_an_armed_timer(void *arg)
{
    AioTimer *timer = arg;
    AioContext *ctx = fixture_context();
    aio_timer_init(ctx, timer, AIO_CLOCK_HOST, AIO_SCALE_NS, nothing, NULL);
    aio_timer_mod_ns(timer, 0);
    aio_context_unref(ctx);
}

static void freeing_the_context_of_an_armed_timer_is_fatal(void **state)
{
    (void)state;
    AioTimer timer;
    assert_true(fixture_dies(free_with_an_armed_timer, &timer, "HOST"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(never_early_and_true),
    cmocka_unit_test_home(fires_once),
    cmocka_unit_test_home(deadlines_run_in_order_and_equal_ones_in_arming_order),
    cmocka_unit_test_home(negative_time_is_due_at_once),
    cmocka_unit_test_home(mod_moves_and_anticipate_only_forward),
    cmocka_unit_test(scales_convert_and_saturate),
    cmocka_unit_test_home(rearmed_in_the_past_runs_once_an_iteration),
    cmocka_unit_test_home(armed_in_the_past_by_another_waits_for_the_next_iteration),
    cmocka_unit_test_home(in_its_callback_a_timer_is_unarmed),
    cmocka_unit_test_home(a_callback_may_free_its_timer),
    cmocka_unit_test(free_disarms),
    cmocka_unit_test_home(deinit_disarms_and_del_repeats),
    cmocka_unit_test_home(deleted_by_an_earlier_one_does_not_run),
    cmocka_unit_test_home(pending_and_expired),
    cmocka_unit_test_home(a_nested_poll_runs_what_the_outer_has_not),
    cmocka_unit_test(freeing_the_context_of_an_armed_timer_is_fatal),
};

TEST_MAIN(tests)
