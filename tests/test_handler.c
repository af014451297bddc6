/*
 * Handlers: what calls them, in which order and how often.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

#include <errno.h>

#include "tests/probe.h"

static void readable_handler_runs_and_is_progress(AioContext *ctx)
{
    Probe a;
    probe_open_reader(&a, ctx);
    assert_int_equal(probe_handlers(ctx), 1);
    assert_false(drive(ctx, false));
    probe_ping(&a);
    assert_true(drive(ctx, true));
    assert_int_equal(a.reads, 1);
    assert_int_equal(probe_counters(ctx).handler_calls, 1);
    assert_false(drive(ctx, false));
    probe_ping(&a);
    assert_true(drive(ctx, false));
    assert_int_equal(a.reads, 2);
    probe_close(&a);
    assert_int_equal(probe_handlers(ctx), 0);
}

static void writable_handler_runs_and_is_progress(AioContext *ctx)
{
    Probe a;
    probe_open(&a, ctx);
    fixture_fill(a.pair.a);
    probe_set(&a, PROBE_WRITE, 0);
    assert_false(drive(ctx, false));
    char buffer[4096];
    while (fixture_read(a.pair.b, buffer, sizeof(buffer)) > 0) {
        continue;
    }
    assert_true(drive(ctx, true));
    assert_true(drive(ctx, false));
    assert_int_equal(a.writes, 2);
    assert_int_equal(a.reads, 0);
    probe_close(&a);
}

static void read_runs_before_write(AioContext *ctx)
{
    Probe a;
    probe_open(&a, ctx);
    probe_set(&a, PROBE_READ | PROBE_WRITE, 0);
    probe_ping(&a);
    assert_true(drive(ctx, false));
    assert_int_equal(a.reads, 1);
    assert_int_equal(a.writes, 1);
    assert_int_equal(a.first, 'r');
    assert_int_equal(probe_counters(ctx).handler_calls, 2);
    probe_close(&a);
}

static void unread_data_is_reported_in_every_call(AioContext *ctx)
{
    Probe a;
    probe_open_reader(&a, ctx);
    a.keep = true;
    probe_ping(&a);
    for (int i = 1; i <= 20; i++) {
        assert_true(drive(ctx, i % 2));
        assert_int_equal(a.reads, i);
    }
    a.keep = false;
    assert_true(drive(ctx, true));
    assert_false(drive(ctx, false));
    probe_close(&a);
}

static void ping(Probe *probe)
{
    probe_ping(probe);
}

static void handler_that_readies_itself_runs_once_a_call(AioContext *ctx)
{
    Probe a;
    probe_open_reader(&a, ctx);
    a.on_read = ping;
    probe_ping(&a);
    for (int i = 1; i <= 10; i++) {
        assert_true(drive(ctx, i % 2));
        assert_int_equal(a.reads, i);
    }
    a.on_read = NULL;
    assert_true(drive(ctx, false));
    assert_false(drive(ctx, false));
    probe_close(&a);
}

static void count_bh(void *opaque)
{
    ++*(int *)opaque;
}

static void handler_that_readies_itself_starves_no_bottom_half(AioContext *ctx)
{
    Probe a;
    int runs = 0;
    probe_open_reader(&a, ctx);
    a.on_read = ping;
    probe_ping(&a);
    AioBh *bh = aio_bh_new(ctx, count_bh, &runs);
    for (int i = 1; i <= 50; i++) {
        aio_bh_schedule(bh);
        assert_true(drive(ctx, i % 2));
        assert_int_equal(runs, i);
    }
    assert_in_range(a.reads, 25, 50);
    a.on_read = NULL;
    aio_bh_delete(bh);
    probe_close(&a);
}

static void again(void *opaque)
{
    aio_bh_schedule(*(AioBh **)opaque);
}

static void handlers_are_served_though_a_bottom_half_is_always_pending(AioContext *ctx)
{
    Probe a;
    AioBh *bh;
    probe_open_reader(&a, ctx);
    bh = aio_bh_new(ctx, again, &bh);
    aio_bh_schedule(bh);
    for (int round = 1; round <= 5; round++) {
        probe_ping(&a);
        for (int i = 0; i < 8; i++) { /* blocking calls with work may skip the kernel so often */
            assert_true(drive(ctx, true));
        }
        assert_int_equal(a.reads, round);
    }
    probe_ping(&a);
    assert_true(drive(ctx, false)); /* and others never */
    assert_int_equal(a.reads, 6);
    aio_bh_delete(bh);
    probe_close(&a);
}

static void ready_handlers_get_equal_shares(AioContext *ctx)
{
    enum { N = 300, ROUNDS = 20 };
    static Probe probes[N];
    for (int i = 0; i < N; i++) {
        probe_open_reader(&probes[i], ctx);
        probes[i].keep = true;
        probe_ping(&probes[i]);
    }
    for (int i = 0; i < ROUNDS; i++) {
        assert_true(drive(ctx, false));
    }
    int least = ROUNDS, most = 0;
    for (int i = 0; i < N; i++) {
        least = probes[i].reads < least ? probes[i].reads : least;
        most = probes[i].reads > most ? probes[i].reads : most;
    }
    assert_in_range(most - least, 0, 2);
    assert_true(least > 0);
    for (int i = 0; i < N; i++) {
        probe_close(&probes[i]);
    }
}

static void take_over(Probe *probe)
{
    probe_set(probe->arg, PROBE_READ | PROBE_WRITE, 0);
}

static void handler_replaced_in_its_read_callback_writes_in_the_next_call(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Probe a, b;
    probe_open(&a, ctx);
    b = (Probe){.ctx = ctx, .pair = a.pair};
    a.on_read = take_over;
    a.arg = &b;
    probe_set(&a, PROBE_READ | PROBE_WRITE, 0);
    probe_ping(&a);
    assert_true(drive(ctx, false));
    assert_int_equal(a.reads, 1);
    assert_int_equal(a.writes, 0);
    assert_int_equal(b.calls, 0);
    assert_true(drive(ctx, false));
    assert_int_equal(b.writes, 1);
    assert_int_equal(a.calls, 1);
    probe_close(&b);
    fixture_context_free(ctx);
}

static void read_only(Probe *probe)
{
    probe_set(probe, PROBE_READ, 0);
}

static void write_removed_by_the_read_callback_does_not_run(AioContext *ctx)
{
    Probe a;
    probe_open(&a, ctx);
    a.on_read = read_only;
    probe_set(&a, PROBE_READ | PROBE_WRITE, 0);
    probe_ping(&a);
    assert_true(drive(ctx, false));
    assert_int_equal(a.reads, 1);
    assert_int_equal(a.writes, 0);
    assert_false(drive(ctx, false));
    probe_close(&a);
}

static void hang_up_calls_read(AioContext *ctx)
{
    Probe a;
    probe_open_reader(&a, ctx);
    fixture_close(a.pair.b);
    a.pair.b = AIO_HANDLE_NONE;
    assert_true(drive(ctx, true));
    assert_int_equal(a.reads, 1);
    assert_true(drive(ctx, false)); /* level */
    probe_close(&a);
}

static void edge_handler_is_told_of_every_arrival(AioContext *ctx)
{
    Probe a;
    probe_open(&a, ctx);
    probe_ping(&a); /* there before */
    probe_set(&a, PROBE_READ, AIO_HANDLER_EDGE);
    for (int i = 1; i <= 10; i++) {
        assert_true(drive(ctx, i % 2));
        assert_int_equal(a.reads, i);
        assert_false(drive(ctx, false));
        probe_ping(&a);
    }
    assert_true(drive(ctx, true));
    a.keep = true;
    probe_ping(&a);
    assert_true(drive(ctx, true));
    int reads = a.reads;
    /* Where the poller knows no edges, what is left is reported again. */
    bool edges = strcmp(fixture_poller(), "epoll") == 0;
    assert_int_equal(drive(ctx, false), !edges);
    reads = a.reads;
    probe_ping(&a);
    assert_true(drive(ctx, false));
    assert_int_equal(a.reads, reads + 1);
    probe_set(&a, PROBE_READ, AIO_HANDLER_EDGE); /* a new registration is told of what is there */
    assert_true(drive(ctx, false));
    probe_set(&a, PROBE_READ, 0);
    assert_true(drive(ctx, false));
    assert_true(drive(ctx, false));
    probe_close(&a);
}

static int notifier_reads;

static void clear_notifier(AioNotifier *notifier)
{
    notifier_reads += aio_notifier_test_and_clear(notifier);
}

static void notifier_is_seen_by_each_non_blocking_call(AioContext *ctx)
{
    AioNotifier notifier;
    assert_int_equal(aio_notifier_init(&notifier, false), 0);
    aio_set_event_notifier(ctx, &notifier, false, clear_notifier, NULL);
    notifier_reads = 0;
    for (int i = 1; i <= 20; i++) {
        assert_int_equal(aio_notifier_set(&notifier), 0);
        assert_true(drive(ctx, false));
        assert_int_equal(notifier_reads, i);
        assert_false(drive(ctx, false));
    }
    aio_set_event_notifier(ctx, &notifier, false, NULL, NULL);
    aio_notifier_set(&notifier);
    assert_false(drive(ctx, false));
    aio_notifier_cleanup(&notifier);
}

static bool never(void *opaque)
{
    (void)opaque;
    return false;
}

static void non_blocking_call_sees_a_descriptor_whose_poll_callback_does_not(AioContext *ctx)
{
    AioNotifier notifier;
    aio_context_set_poll_params(ctx, 1000000000, 0, 0, NULL);
    assert_int_equal(aio_notifier_init(&notifier, false), 0);
    aio_set_event_notifier(ctx, &notifier, false, clear_notifier, never);
    aio_notifier_set(&notifier);
    notifier_reads = 0;
    assert_true(drive(ctx, false));
    assert_int_equal(notifier_reads, 1);
    aio_set_event_notifier(ctx, &notifier, false, NULL, NULL);
    aio_notifier_cleanup(&notifier);
}

static void take_over_polling(Probe *probe)
{
    probe_set(probe->arg, PROBE_READ | PROBE_POLL | PROBE_READY, 0);
}

/* Have the context busy-poll in its next blocking call. */
static void open_window(Probe *probe)
{
    aio_context_set_poll_params(probe->ctx, 1000000000, 0, 0, NULL);
    probe_ping(probe);
    assert_true(drive(probe->ctx, true));
}

static void ready_callback_is_called_only_for_what_its_own_poll_callback_found(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Probe a, b;
    probe_open(&a, ctx);
    b = (Probe){.ctx = ctx, .pair = a.pair};
    a.found = true;
    a.on_poll = take_over_polling;
    a.arg = &b;
    probe_set(&a, PROBE_READ | PROBE_POLL | PROBE_READY, 0);
    open_window(&a);
    assert_int_equal(a.polls, 0);
    assert_true(drive(ctx, true));
    assert_int_equal(a.polls, 1);
    assert_int_equal(a.readies + b.readies, 0);
    b.found = true;
    assert_true(drive(ctx, true));
    assert_int_equal(b.readies, 1);
    a.on_poll = probe_remove;
    probe_set(&a, PROBE_READ | PROBE_POLL | PROBE_READY, 0);
    assert_true(drive(ctx, true));
    assert_int_equal(a.polls, 2);
    assert_int_equal(a.readies, 0);
    assert_int_equal(probe_handlers(ctx), 0);
    probe_close(&a);
    fixture_context_free(ctx);
}

static void replacing_clears_the_brackets_of_busy_polling(AioContext *ctx)
{
    Probe a;
    probe_open(&a, ctx);
    a.found = true;
    probe_set(&a, PROBE_READ | PROBE_POLL | PROBE_BRACKETS, 0);
    open_window(&a);
    assert_true(drive(ctx, true));
    assert_int_equal(a.begins, 1);
    probe_set(&a, PROBE_READ | PROBE_POLL, 0); /* in the midst of it: no end is called */
    assert_true(drive(ctx, true));
    a.found = false;
    assert_in_range(probe_sleep(ctx, 20), 1, 10);
    assert_int_equal(a.begins, 1);
    assert_int_equal(a.ends, 0);
    a.found = true;
    probe_set(&a, PROBE_READ | PROBE_POLL | PROBE_BRACKETS, 0);
    open_window(&a);
    assert_true(drive(ctx, true));
    assert_int_equal(a.begins, 2);
    probe_set(&a, PROBE_READ | PROBE_POLL | PROBE_BRACKETS, 0); /* it has not begun */
    assert_true(drive(ctx, true));
    assert_int_equal(a.begins, 3);
    assert_int_equal(a.ends, 0);
    probe_close(&a);
}

static bool busy_polls(Probe *probe)
{
    uint64_t before = probe_counters(probe->ctx).busy_polls;
    probe->found = true;
    probe_ping(probe);
    assert_true(drive(probe->ctx, true));
    return probe_counters(probe->ctx).busy_polls > before;
}

static void loop_busy_polls_where_all_handlers_can_be_asked(AioContext *ctx)
{
    Probe a, b;
    probe_open(&a, ctx);
    probe_open(&b, ctx);
    probe_set(&a, PROBE_READ | PROBE_POLL, 0);
    open_window(&a);
    assert_true(busy_polls(&a));
    for (int i = 0; i < 2; i++) {
        probe_set(&b, PROBE_READ, 0);
        assert_false(busy_polls(&a));
        probe_set(&b, PROBE_READ | PROBE_POLL, 0);
        assert_true(busy_polls(&a));
        probe_set(&b, PROBE_READ, AIO_HANDLER_EXTERNAL);
        aio_disable_external(ctx);
        assert_false(busy_polls(&a)); /* one that rests counts, too */
        aio_enable_external(ctx);
        probe_remove(&b);
        assert_true(busy_polls(&a));
    }
    probe_set(&b, PROBE_READ, 0);
    fixture_close(b.pair.a);
    probe_set(&b, PROBE_WRITE, 0);
    drive(ctx, false);
    assert_true(busy_polls(&a)); /* one that failed does not */
    probe_expect_error(ctx, EBADF, "can't be watched");
    probe_remove(&b);
    assert_true(busy_polls(&a));
    fixture_close(b.pair.b);
    probe_close(&a);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(readable_handler_runs_and_is_progress),
    cmocka_unit_test_home(writable_handler_runs_and_is_progress),
    cmocka_unit_test_home(read_runs_before_write),
    cmocka_unit_test_home(unread_data_is_reported_in_every_call),
    cmocka_unit_test_home(handler_that_readies_itself_runs_once_a_call),
    cmocka_unit_test_home(handler_that_readies_itself_starves_no_bottom_half),
    cmocka_unit_test_home(handlers_are_served_though_a_bottom_half_is_always_pending),
    cmocka_unit_test_home(ready_handlers_get_equal_shares),
    cmocka_unit_test(handler_replaced_in_its_read_callback_writes_in_the_next_call),
    cmocka_unit_test_home(write_removed_by_the_read_callback_does_not_run),
    cmocka_unit_test_home(hang_up_calls_read),
    cmocka_unit_test_home(edge_handler_is_told_of_every_arrival),
    cmocka_unit_test_home(notifier_is_seen_by_each_non_blocking_call),
    cmocka_unit_test_home(non_blocking_call_sees_a_descriptor_whose_poll_callback_does_not),
    cmocka_unit_test(ready_callback_is_called_only_for_what_its_own_poll_callback_found),
    cmocka_unit_test_home(loop_busy_polls_where_all_handlers_can_be_asked),
    cmocka_unit_test_home(replacing_clears_the_brackets_of_busy_polling),
};
TEST_MAIN(tests)
