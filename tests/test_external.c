/*
 * External handlers: out of service while they are disabled, with their readiness kept.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

#include "tests/probe.h"

static void disabling_nests_and_is_counted(AioContext *ctx)
{
    assert_false(aio_external_disabled(ctx));
    assert_true(aio_node_check(ctx, true));
    aio_disable_external(ctx);
    aio_disable_external(ctx);
    assert_true(aio_external_disabled(ctx));
    assert_false(aio_node_check(ctx, true));
    assert_true(aio_node_check(ctx, false));
    aio_enable_external(ctx);
    assert_true(aio_external_disabled(ctx));
    assert_false(aio_node_check(ctx, true));
    aio_enable_external(ctx);
    assert_false(aio_external_disabled(ctx));
    assert_true(aio_node_check(ctx, true));
}

static void enable_once_too_often(void *opaque)
{
    (void)opaque;
    aio_enable_external(fixture_context());
}

static void enabling_once_too_often_is_an_assertion(void **state)
{
    (void)state;
#ifdef NDEBUG
    fixture_skip("asserts are off in this build");
#endif
    assert_true(fixture_aborts(enable_once_too_often, NULL));
}

static void disabled_handlers_rest_and_are_served_afterwards(AioContext *ctx)
{
    Probe outside, inside;
    probe_open(&outside, ctx);
    probe_set(&outside, PROBE_READ | PROBE_WRITE, AIO_HANDLER_EXTERNAL);
    probe_open_reader(&inside, ctx);
    assert_true(drive(ctx, false));
    for (int i = 1; i <= 3; i++) {
        int calls = outside.calls;
        aio_disable_external(ctx);
        probe_ping(&outside);
        assert_false(drive(ctx, false));
        assert_in_range(probe_sleep(ctx, 30), 1, 10);
        probe_ping(&inside);
        assert_true(drive(ctx, true));
        assert_int_equal(inside.reads, i);
        assert_int_equal(outside.calls, calls);
        aio_enable_external(ctx);
        assert_true(drive(ctx, true));
        assert_int_equal(outside.reads, i);
        assert_int_equal(outside.calls, calls + 2);
    }
    probe_close(&outside);
    probe_close(&inside);
}

static int cleared;

static void clear(AioNotifier *notifier)
{
    cleared += aio_notifier_test_and_clear(notifier);
}

static void disabled_notifier_stays_set(AioContext *ctx)
{
    AioNotifier notifier;
    assert_int_equal(aio_notifier_init(&notifier, false), 0);
    aio_set_event_notifier(ctx, &notifier, true, clear, NULL);
    cleared = 0;
    assert_false(drive(ctx, false));
    aio_disable_external(ctx);
    aio_notifier_set(&notifier);
    assert_false(drive(ctx, false));
    assert_int_equal(cleared, 0);
    aio_enable_external(ctx);
    assert_true(drive(ctx, false));
    assert_int_equal(cleared, 1);
    aio_set_event_notifier(ctx, &notifier, true, NULL, NULL);
    aio_notifier_cleanup(&notifier);
}

static void enable_soon(void *opaque)
{
    fixture_sleep_ms(20);
    aio_enable_external(opaque);
}

static void enabling_in_another_thread_wakes_the_loop(AioContext *ctx)
{
    Probe a;
    probe_open(&a, ctx);
    probe_set(&a, PROBE_READ, AIO_HANDLER_EXTERNAL);
    for (int i = 1; i <= 5; i++) {
        aio_disable_external(ctx);
        probe_ping(&a);
        FixtureThread *thread = fixture_thread_start(enable_soon, ctx);
        assert_true(drive(ctx, true));
        assert_int_equal(a.reads, i);
        fixture_thread_join(thread);
    }
    probe_close(&a);
}

static void disable_and_ping_soon(void *opaque)
{
    Probe *probe = opaque;
    fixture_sleep_ms(20);
    aio_disable_external(probe->ctx);
    probe_ping(probe);
    fixture_sleep_ms(20);
    aio_notify(probe->ctx);
}

static void handler_disabled_in_another_thread_neither_runs_nor_spins(AioContext *ctx)
{
    Probe a;
    probe_open(&a, ctx);
    probe_set(&a, PROBE_READ, AIO_HANDLER_EXTERNAL);
    uint64_t waits = probe_counters(ctx).waits;
    FixtureThread *thread = fixture_thread_start(disable_and_ping_soon, &a);
    assert_false(drive(ctx, true));
    fixture_thread_join(thread);
    assert_in_range(probe_counters(ctx).waits - waits, 1, 10);
    assert_in_range(probe_sleep(ctx, 30), 1, 10);
    assert_int_equal(a.calls, 0);
    aio_enable_external(ctx);
    assert_true(drive(ctx, false));
    assert_int_equal(a.reads, 1);
    probe_close(&a);
}

static void disable_from_bh(void *opaque)
{
    aio_disable_external(opaque);
}

static void handlers_disabled_after_the_wait_rest(AioContext *ctx)
{
    Probe a, edge;
    probe_open(&a, ctx);
    probe_open(&edge, ctx);
    probe_set(&a, PROBE_READ, AIO_HANDLER_EXTERNAL);
    probe_set(&edge, PROBE_READ, AIO_HANDLER_EXTERNAL | AIO_HANDLER_EDGE);
    assert_false(drive(ctx, false));
    probe_ping(&a);
    probe_ping(&edge);
    aio_bh_schedule_oneshot(ctx, disable_from_bh, ctx);
    assert_true(drive(ctx, false)); /* found ready, then disabled by the bottom half */
    assert_int_equal(a.calls + edge.calls, 0);
    assert_false(drive(ctx, false));
    aio_enable_external(ctx);
    assert_true(drive(ctx, false));
    assert_int_equal(a.reads, 1);
    assert_int_equal(edge.reads, 1);
    probe_close(&a);
    probe_close(&edge);
}

static void disable_here(Probe *probe)
{
    aio_disable_external(probe->ctx);
}

static void enable_where_disabled(Probe *probe)
{
    if (aio_external_disabled(probe->ctx)) {
        aio_enable_external(probe->ctx);
    }
}

static void read_callback_that_disables_puts_off_the_write(AioContext *ctx)
{
    Probe a, b;
    probe_open(&a, ctx);
    probe_open(&b, ctx);
    a.on_read = disable_here;
    b.on_read = enable_where_disabled;
    fixture_fill(a.pair.a);
    probe_set(&a, PROBE_READ | PROBE_WRITE, AIO_HANDLER_EXTERNAL | AIO_HANDLER_EDGE);
    probe_set(&b, PROBE_READ, 0);
    assert_false(drive(ctx, false));
    char buffer[4096];
    while (fixture_read(a.pair.b, buffer, sizeof(buffer)) > 0) {
        continue;
    }
    probe_ping(&a);
    probe_ping(&b);
    assert_true(drive(ctx, false));
    assert_int_equal(a.reads, 1);
    assert_int_equal(a.writes, 0);
    assert_int_equal(b.reads, 1);
    enable_where_disabled(&a);      /* where the other was the first */
    assert_true(drive(ctx, false)); /* an edge that was seen is not lost */
    assert_int_equal(a.writes, 1);
    probe_close(&a);
    probe_close(&b);
}

static void registering_while_disabled_follows_the_flag(AioContext *ctx)
{
    Probe a, b;
    probe_open(&a, ctx);
    probe_open(&b, ctx);
    probe_ping(&a);
    probe_ping(&b);
    aio_disable_external(ctx);
    probe_set(&a, PROBE_READ, AIO_HANDLER_EXTERNAL);
    probe_set(&b, PROBE_READ, 0);
    assert_true(drive(ctx, false));
    assert_int_equal(a.reads, 0);
    assert_int_equal(b.reads, 1);
    probe_set(&b, PROBE_READ, AIO_HANDLER_EXTERNAL);
    probe_ping(&b);
    assert_false(drive(ctx, false));
    probe_set(&a, PROBE_READ, 0);
    assert_true(drive(ctx, false));
    assert_int_equal(a.reads, 1);
    assert_int_equal(b.reads, 1);
    aio_enable_external(ctx);
    assert_true(drive(ctx, false));
    assert_int_equal(b.reads, 2);
    aio_disable_external(ctx);
    probe_ping(&b);
    probe_close(&b); /* removed while it rests */
    aio_enable_external(ctx);
    assert_false(drive(ctx, false));
    probe_close(&a);
}

static void disabled_handler_is_not_busy_polled(AioContext *ctx)
{
    Probe a, b;
    probe_open(&a, ctx);
    probe_open(&b, ctx);
    probe_set(&a, PROBE_READ | PROBE_POLL | PROBE_BRACKETS, AIO_HANDLER_EXTERNAL);
    probe_set(&b, PROBE_READ | PROBE_POLL | PROBE_BRACKETS, 0);
    aio_context_set_poll_params(ctx, 1000000000, 0, 0, NULL);
    probe_ping(&b);
    assert_true(drive(ctx, true)); /* opens the window */
    b.found = true;
    assert_true(drive(ctx, true));
    assert_int_equal(b.polls, 1);
    assert_int_equal(a.polls, 1);
    assert_int_equal(a.begins, 1);
    a.found = true;
    aio_disable_external(ctx);
    assert_true(drive(ctx, true));
    assert_int_equal(b.polls, 2);
    assert_int_equal(a.polls, 1);
    b.found = false;
    drive(ctx, false);
    assert_int_equal(a.polls, 1);
    aio_enable_external(ctx);
    assert_true(drive(ctx, true));
    assert_int_equal(a.polls, 2);
    probe_close(&a);
    probe_close(&b);
}

typedef struct Disabler {
    AioContext *ctx;
    atomic_bool running;
    atomic_bool disabled;
    bool in_time;
} Disabler;

static void disable_meanwhile(void *opaque)
{
    Disabler *disabler = opaque;
    while (!atomic_load(&disabler->running)) {
        fixture_yield();
    }
    aio_disable_external(disabler->ctx);
    atomic_store(&disabler->disabled, true);
}

static void run_until_disabled(Probe *probe)
{
    Disabler *disabler = probe->arg;
    int64_t end = fixture_now_ns() + 20000000000;
    atomic_store(&disabler->running, true);
    while (!atomic_load(&disabler->disabled) && fixture_now_ns() < end) {
        fixture_yield();
    }
    disabler->in_time = atomic_load(&disabler->disabled);
}

static void disabling_does_not_wait_for_a_callback_that_runs(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Disabler disabler = {.ctx = ctx};
    Probe a;
    probe_open(&a, ctx);
    a.on_read = run_until_disabled;
    a.arg = &disabler;
    probe_set(&a, PROBE_READ | PROBE_WRITE, AIO_HANDLER_EXTERNAL);
    probe_ping(&a);
    FixtureThread *thread = fixture_thread_start(disable_meanwhile, &disabler);
    assert_true(drive(ctx, true));
    fixture_thread_join(thread);
    assert_true(disabler.in_time);
    aio_enable_external(ctx);
    probe_close(&a);
    fixture_context_free(ctx);
}

static void handler_set_while_disabled_is_served_though_no_iteration_saw_that(AioContext *ctx)
{
    Probe a;
    probe_open(&a, ctx);
    probe_ping(&a);
    for (int i = 1; i <= 2; i++) { /* new, and replaced */
        aio_disable_external(ctx);
        probe_set(&a, PROBE_READ, AIO_HANDLER_EXTERNAL);
        aio_enable_external(ctx);
        assert_true(drive(ctx, false));
        assert_int_equal(a.reads, i);
        probe_ping(&a);
    }
    probe_close(&a);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(disabling_nests_and_is_counted),
    cmocka_unit_test(enabling_once_too_often_is_an_assertion),
    cmocka_unit_test_home(disabled_handlers_rest_and_are_served_afterwards),
    cmocka_unit_test_home(disabled_notifier_stays_set),
    cmocka_unit_test_home(enabling_in_another_thread_wakes_the_loop),
    cmocka_unit_test_home(handler_disabled_in_another_thread_neither_runs_nor_spins),
    cmocka_unit_test_home(handlers_disabled_after_the_wait_rest),
    cmocka_unit_test_home(read_callback_that_disables_puts_off_the_write),
    cmocka_unit_test_home(registering_while_disabled_follows_the_flag),
    cmocka_unit_test_home(handler_set_while_disabled_is_served_though_no_iteration_saw_that),
    cmocka_unit_test_home(disabled_handler_is_not_busy_polled),
    cmocka_unit_test(disabling_does_not_wait_for_a_callback_that_runs),
};
TEST_MAIN(tests)
