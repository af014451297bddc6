/*
 * One iteration: what it returns, when it sleeps and what ends the sleep, and the steps as a host takes them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

#include "tests/probe.h"

static int64_t now_ns(void)
{
    return aio_clock_get_ns(AIO_CLOCK_REALTIME);
}

static void count(void *opaque)
{
    ++*(int *)opaque;
}

static void notification_is_no_progress_and_is_remembered_once(AioContext *ctx)
{
    aio_notify(ctx);
    assert_false(drive(ctx, true)); /* remembered: it does not sleep */
    assert_in_range(probe_sleep(ctx, 30), 1, 10);
    for (int i = 0; i < 3; i++) {
        aio_notify(ctx);
        while (drive(ctx, false)) {
            continue;
        }
    }
    aio_notify(ctx);
    aio_notify(ctx);
    assert_false(drive(ctx, true));
    assert_in_range(probe_sleep(ctx, 30), 1, 10);
}

static void notification_found_by_busy_polling_is_no_progress(AioContext *ctx)
{
    Probe a;
    probe_open(&a, ctx);
    probe_set(&a, PROBE_READ | PROBE_POLL, 0);
    aio_context_set_poll_params(ctx, 10000000000, 1000000, 1, NULL);
    for (int i = 0; i < 2; i++) { /* the second one makes the window large */
        probe_ping(&a);
        assert_true(drive(ctx, true));
    }
    uint64_t looks = probe_counters(ctx).busy_polls;
    assert_in_range(probe_sleep(ctx, 30), 0, 10);
    assert_int_equal(probe_counters(ctx).busy_polls, looks + 1);
    assert_true(a.polls > 1);
    probe_close(&a);
}

static void what_a_poll_callback_finds_is_progress(AioContext *ctx)
{
    Probe a;
    probe_open(&a, ctx);
    probe_set(&a, PROBE_READ | PROBE_POLL | PROBE_BRACKETS, 0);
    aio_context_set_poll_params(ctx, 1000000000, 0, 0, NULL);
    probe_ping(&a);
    assert_true(drive(ctx, true));
    a.found = true;
    assert_true(drive(ctx, true));
    assert_int_equal(a.polls, 1);
    assert_int_equal(a.reads, 1);
    assert_int_equal(a.begins, 1);
    assert_int_equal(a.ends, 0);
    probe_close(&a);
}

static void find_after_end(Probe *probe)
{
    probe->found = probe->ends > 0;
}

static void what_the_last_look_before_a_sleep_finds_is_progress(AioContext *ctx)
{
    Probe a;
    probe_open(&a, ctx);
    probe_set(&a, PROBE_READ | PROBE_POLL | PROBE_BRACKETS, 0);
    aio_context_set_poll_params(ctx, 1000000000, 0, 0, NULL);
    probe_ping(&a);
    assert_true(drive(ctx, true));
    a.on_poll = find_after_end;
    assert_true(drive(ctx, true)); /* would sleep for ever */
    assert_int_equal(a.ends, 1);
    assert_int_equal(a.reads, 1);
    probe_close(&a);
}

static void timer_is_progress_unless_it_was_deleted(AioContext *ctx)
{
    AioTimer timer;
    int runs = 0;
    aio_timer_init(ctx, &timer, AIO_CLOCK_REALTIME, 1, count, &runs);
    aio_timer_mod(&timer, now_ns());
    assert_true(drive(ctx, false)); /* without blocking, too */
    assert_int_equal(runs, 1);
    assert_false(drive(ctx, false));
    aio_timer_mod(&timer, now_ns() - 1);
    aio_timer_del(&timer);
    assert_false(drive(ctx, false));
    assert_int_equal(runs, 1);
    aio_timer_deinit(&timer);
}

static void non_blocking_call_never_sleeps(AioContext *ctx)
{
    AioTimer timer;
    Probe a;
    int runs = 0;
    probe_open_reader(&a, ctx);
    aio_timer_init(ctx, &timer, AIO_CLOCK_REALTIME, 1, count, &runs);
    aio_timer_mod(&timer, now_ns() + 3600000000000);
    AioBh *bh = aio_bh_new(ctx, count, &runs);
    for (int i = 0; i < 100; i++) {
        aio_bh_schedule_idle(bh);
        assert_false(drive(ctx, false));
    }
    assert_int_equal(probe_counters(ctx).sleeps, 0);
    aio_bh_delete(bh);
    aio_timer_deinit(&timer);
    probe_close(&a);
}

static void blocking_call_with_nothing_registered_sleeps_until_notified(AioContext *ctx)
{
    int64_t cpu = fixture_cpu_ns();
    assert_in_range(probe_sleep(ctx, 300), 1, 5);
    assert_true(fixture_cpu_ns() - cpu < 150000000);
}

static void blocking_call_returns_true_and_not_before_the_deadline(void **state)
{
    (void)state;
    static const int64_t delays[] = {0,       1,       999,     1000,     50000,
                                     999999,  1000000, 1000001, 1500000,  2999999,
                                     9999999, 7654321, 123456,  20000001, 10000000};
    AioContext *ctx = fixture_home();
    AioTimer timer;
    int runs = 0;
    aio_timer_init(ctx, &timer, AIO_CLOCK_REALTIME, 1, count, &runs);
    for (unsigned i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
        int64_t deadline = now_ns() + delays[i];
        aio_timer_mod(&timer, deadline);
        assert_true(drive(ctx, true));
        assert_true(now_ns() >= deadline);
        assert_int_equal(runs, i + 1);
    }
    aio_timer_deinit(&timer);
    fixture_context_free(ctx);
}

static void interrupt(void *opaque)
{
    atomic_fetch_add((atomic_int *)opaque, 1);
}

static void signals_do_not_end_a_wait(AioContext *ctx)
{
    AioTimer timer;
    Probe a;
    int runs = 0;
    atomic_int signals = 0;
    probe_open_reader(&a, ctx);
    aio_timer_init(ctx, &timer, AIO_CLOCK_REALTIME, 1, count, &runs);
    if (!fixture_signal_start(interrupt, &signals, 100)) {
        fixture_skip("no such signals here");
    }
    for (int i = 1; i <= 10; i++) {
        int64_t deadline = now_ns() + 20000000;
        aio_timer_mod(&timer, deadline);
        assert_true(drive(ctx, true));
        assert_true(now_ns() >= deadline);
        assert_int_equal(runs, i);
        probe_ping(&a);
        assert_true(drive(ctx, false));
        assert_int_equal(a.reads, i);
        assert_false(drive(ctx, false));
    }
    probe_sleep(ctx, 50);
    fixture_signal_stop();
    assert_true(atomic_load(&signals) > 10);
    aio_timer_deinit(&timer);
    probe_close(&a);
}

static void true_may_be_followed_by_a_sleep(AioContext *ctx)
{
    Probe a;
    int runs = 0;
    probe_open_reader(&a, ctx);
    probe_ping(&a);
    assert_true(drive(ctx, true));
    assert_in_range(probe_sleep(ctx, 30), 1, 10);
    aio_bh_schedule_oneshot(ctx, count, &runs);
    assert_true(drive(ctx, true));
    assert_in_range(probe_sleep(ctx, 30), 1, 10);
    probe_close(&a);
}

static void delete_timer_soon(void *opaque)
{
    fixture_sleep_ms(10);
    aio_timer_del(opaque);
}

/* All that may make a blocking call return false, and what it was about has not run. */
static void blocking_call_returns_false_for_few_reasons(AioContext *ctx)
{
    int runs = 0;
    AioBh *bh = aio_bh_new(ctx, count, &runs);
    aio_bh_schedule_idle(bh);
    assert_false(drive(ctx, true)); /* an idle one ran */
    assert_int_equal(runs, 1);
    aio_bh_schedule(bh);
    aio_bh_cancel(bh);
    assert_false(drive(ctx, true)); /* cancelled */
    aio_bh_schedule(bh);
    aio_bh_delete(bh);
    assert_false(drive(ctx, true)); /* deleted */
    assert_int_equal(runs, 1);
    aio_notify(ctx);
    assert_false(drive(ctx, true)); /* notified */
    AioTimer timer;
    aio_timer_init(ctx, &timer, AIO_CLOCK_REALTIME, 1, count, &runs);
    aio_timer_mod(&timer, now_ns() + 600000000);
    FixtureThread *thread = fixture_thread_start(delete_timer_soon, &timer);
    probe_sleep(ctx, 700); /* a timer that went away does not even end the call */
    fixture_thread_join(thread);
    assert_int_equal(runs, 1);
    aio_timer_deinit(&timer);
}

typedef struct Log {
    char text[16];
    size_t used;
} Log;

static void log_char(Log *log, char c)
{
    log->text[log->used++] = c;
}

static void log_bh(void *opaque)
{
    log_char(opaque, 'b');
}

static void log_timer(void *opaque)
{
    log_char(opaque, 't');
}

static void log_read(Probe *probe)
{
    log_char(probe->arg, 'h');
}

static void bottom_halves_come_first_then_handlers_then_timers(AioContext *ctx)
{
    AioTimer timer;
    Probe a;
    Log log = {.used = 0};
    probe_open_reader(&a, ctx);
    a.on_read = log_read;
    a.arg = &log;
    aio_timer_init(ctx, &timer, AIO_CLOCK_REALTIME, 1, log_timer, &log);
    aio_timer_mod(&timer, now_ns());
    probe_ping(&a);
    aio_bh_schedule_oneshot(ctx, log_bh, &log);
    assert_true(drive(ctx, false));
    assert_string_equal(log.text, "bht");
    aio_timer_mod(&timer, now_ns());
    probe_ping(&a);
    aio_bh_schedule_oneshot(ctx, log_bh, &log);
    aio_prepare(ctx);
    assert_true(aio_pending(ctx));
    aio_dispatch(ctx);
    assert_string_equal(log.text, "bhtbht");
    aio_timer_deinit(&timer);
    probe_close(&a);
}

static void always_ready_handler_starves_no_timer(AioContext *ctx)
{
    AioTimer timer;
    Probe a;
    int runs = 0;
    probe_open_reader(&a, ctx);
    a.keep = true;
    probe_ping(&a);
    aio_timer_init(ctx, &timer, AIO_CLOCK_REALTIME, 1, count, &runs);
    for (int i = 1; i <= 20; i++) {
        aio_timer_mod(&timer, now_ns());
        assert_true(drive(ctx, i % 2));
        assert_int_equal(runs, i);
    }
    aio_timer_deinit(&timer);
    probe_close(&a);
}

static bool always(void *opaque)
{
    count(opaque);
    return true;
}

static void nothing(void *opaque)
{
    (void)opaque;
}

static void busy_source_starves_no_descriptor_without_poll(AioContext *ctx)
{
    Probe a, b;
    int polls = 0;
    probe_open(&a, ctx);
    aio_context_set_poll_params(ctx, 1000000000, 0, 0, NULL);
    aio_set_fd_handler(ctx, (int)a.pair.a, false, nothing, NULL, always, &polls);
    probe_ping(&a); /* and never read */
    for (int i = 0; i < 5; i++) {
        assert_true(drive(ctx, true));
    }
    assert_true(polls > 0);
    probe_open_reader(&b, ctx);
    for (int round = 1; round <= 5; round++) {
        probe_ping(&b);
        for (int i = 0; i < 10 && b.reads < round; i++) {
            assert_true(drive(ctx, true));
        }
        assert_int_equal(b.reads, round);
    }
    probe_close(&a);
    probe_close(&b);
}

/* The steps of an iteration, as a host takes them. */

static bool host_iteration(AioContext *ctx)
{
    bool ready = aio_prepare(ctx) || aio_pending(ctx);
    if (ready) {
        aio_dispatch(ctx);
    }
    return ready;
}

static void again(void *opaque)
{
    aio_bh_schedule(*(AioBh **)opaque);
}

static void host_that_always_finds_work_serves_descriptors(AioContext *ctx)
{
    Probe a;
    AioBh *bh;
    probe_open_reader(&a, ctx);
    bh = aio_bh_new(ctx, again, &bh);
    aio_bh_schedule(bh);
    for (int round = 1; round <= 5; round++) {
        probe_ping(&a);
        for (int i = 0; i < 10; i++) {
            assert_true(host_iteration(ctx));
        }
        assert_int_equal(a.reads, round);
    }
    aio_bh_delete(bh);
    probe_close(&a);
}

static void host_that_may_sleep_is_woken_once(AioContext *ctx)
{
    int runs = 0;
    uint64_t writes = probe_counters(ctx).notifier_writes;
    assert_false(aio_prepare(ctx));
    assert_false(aio_prepare(ctx)); /* again, without a check in between */
    assert_int_equal(aio_compute_timeout(ctx), -1);
    aio_bh_schedule_oneshot(ctx, count, &runs);
    aio_bh_schedule_oneshot(ctx, count, &runs);
    aio_notify(ctx);
    assert_int_equal(probe_counters(ctx).notifier_writes, writes + 1);
    assert_true(aio_pending(ctx));
    aio_dispatch(ctx);
    assert_int_equal(runs, 2);
    aio_bh_schedule_oneshot(ctx, count, &runs); /* awake: no system call */
    assert_int_equal(probe_counters(ctx).notifier_writes, writes + 1);
    assert_true(host_iteration(ctx));
    assert_int_equal(runs, 3);
    assert_false(host_iteration(ctx));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(notification_is_no_progress_and_is_remembered_once),
    cmocka_unit_test_home(notification_found_by_busy_polling_is_no_progress),
    cmocka_unit_test_home(what_a_poll_callback_finds_is_progress),
    cmocka_unit_test_home(what_the_last_look_before_a_sleep_finds_is_progress),
    cmocka_unit_test_home(timer_is_progress_unless_it_was_deleted),
    cmocka_unit_test_home(non_blocking_call_never_sleeps),
    cmocka_unit_test_home(blocking_call_with_nothing_registered_sleeps_until_notified),
    cmocka_unit_test(blocking_call_returns_true_and_not_before_the_deadline),
    cmocka_unit_test_home(signals_do_not_end_a_wait),
    cmocka_unit_test_home(true_may_be_followed_by_a_sleep),
    cmocka_unit_test_home(blocking_call_returns_false_for_few_reasons),
    cmocka_unit_test_home(bottom_halves_come_first_then_handlers_then_timers),
    cmocka_unit_test_home(always_ready_handler_starves_no_timer),
    cmocka_unit_test_home(busy_source_starves_no_descriptor_without_poll),
    cmocka_unit_test_home(host_that_always_finds_work_serves_descriptors),
    cmocka_unit_test_home(host_that_may_sleep_is_woken_once),
};
TEST_MAIN(tests)
