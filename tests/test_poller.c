/*
 * Pollers with many handles.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

#include "tests/probe.h"

/* Notifiers, since each takes a descriptor or two only. */
typedef struct Bell {
    AioNotifier notifier; /* the first member: the callback gets it */
    int rings;
} Bell;

static void ring(AioNotifier *notifier)
{
    aio_notifier_test_and_clear(notifier);
    ((Bell *)(void *)notifier)->rings++;
}

static void bells_close(AioContext *ctx, Bell *bells, int count)
{
    for (int i = 0; i < count; i++) {
        aio_set_event_notifier(ctx, &bells[i].notifier, false, NULL, NULL);
        aio_notifier_cleanup(&bells[i].notifier);
    }
    free(bells);
    fixture_limit_handles(0);
}

static Bell *bells_open(AioContext *ctx, int count)
{
    Bell *bells = calloc((size_t)count, sizeof(*bells));
    fixture_limit_handles((unsigned)count * 2 + 100);
    int made = 0;
    while (made < count && aio_notifier_init(&bells[made].notifier, false) == 0) {
        aio_set_event_notifier(ctx, &bells[made].notifier, false, ring, NULL);
        made++;
    }
    if (made < count) {
        bells_close(ctx, bells, made);
        aio_context_unref(ctx);
        fixture_skip("too few descriptors here");
        return NULL;
    }
    return bells;
}

static void five_thousand_ready_at_once_are_served_once_each(AioContext *ctx)
{
    enum { N = 5000 };
    Bell *bells = bells_open(ctx, N);
    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < N; i++) {
            aio_notifier_set(&bells[(i * 7) % N].notifier);
        }
        int calls = 0;
        while (drive(ctx, false)) {
            calls++;
        }
        assert_in_range(calls, 1, N / 64);
        for (int i = 0; i < N; i++) {
            assert_int_equal(bells[i].rings, round);
        }
    }
    assert_int_equal(probe_counters(ctx).handler_calls, 3 * N);
    bells_close(ctx, bells, N);
    assert_int_equal(probe_handlers(ctx), 0);
}

static void one_busy_handle_among_thousands_is_served_alone(AioContext *ctx)
{
    enum { N = 4000 };
    Bell *bells = bells_open(ctx, N);
    for (int i = 0; i < 100; i++) {
        aio_notifier_set(&bells[i * 39].notifier);
        assert_true(drive(ctx, i % 2));
        assert_int_equal(bells[i * 39].rings, 1);
    }
    assert_int_equal(probe_counters(ctx).handler_calls, 100);
    assert_in_range(probe_sleep(ctx, 30), 1, 10);
    bells_close(ctx, bells, N);
}

static void handles_come_and_go_in_any_order(AioContext *ctx)
{
    enum { N = 1000 };
    Bell *bells = bells_open(ctx, N);
    bool *here = calloc(N, sizeof(*here));
    unsigned seed = 1;
    for (int i = 0; i < N; i++) {
        here[i] = true;
    }
    for (int step = 0; step < 20000; step++) {
        seed = seed * 1103515245 + 12345;
        int i = (int)((seed >> 8) % N);
        here[i] = !here[i];
        aio_set_event_notifier(ctx, &bells[i].notifier, false, here[i] ? ring : NULL, NULL);
    }
    int expected = 0;
    for (int i = 0; i < N; i++) {
        aio_notifier_set(&bells[i].notifier);
        expected += here[i];
    }
    assert_int_equal(probe_handlers(ctx), expected);
    while (drive(ctx, false)) {
        continue;
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(bells[i].rings, here[i]);
    }
    free(here);
    bells_close(ctx, bells, N);
}

static void nest(Probe *probe)
{
    int *left = probe->arg;
    if (--*left > 0) {
        probe_ping(probe + 1);
        assert_true(drive(probe->ctx, true));
    }
}

static void two_hundred_handlers_nest(AioContext *ctx)
{
    enum { N = 200 };
    static Probe probes[N];
    int left = N;
    for (int i = 0; i < N; i++) {
        probe_open_reader(&probes[i], ctx);
        probes[i].on_read = nest;
        probes[i].arg = &left;
    }
    probe_ping(&probes[0]);
    assert_true(drive(ctx, true));
    assert_int_equal(left, 0);
    assert_false(drive(ctx, false));
    for (int i = 0; i < N; i++) {
        assert_int_equal(probes[i].reads, 1);
        probe_close(&probes[i]);
    }
}

static void handles_come_and_go_and_leave_nothing(AioContext *ctx)
{
    size_t memory = 0;
    unsigned handles = 0;
    for (int round = 0; round < 40; round++) {
        Probe probes[70];
        for (int i = 0; i < 70; i++) {
            probe_open_reader(&probes[i], ctx);
        }
        for (int i = 0; i < 70; i++) {
            probe_ping(&probes[(i * 3) % 70]);
        }
        while (drive(ctx, false)) {
            continue;
        }
        for (int i = 0; i < 70; i++) {
            assert_int_equal(probes[i].reads, 1);
            probe_close(&probes[i]);
        }
        drive(ctx, false);
        if (round == 5) { /* by now the poller has what it keeps for those to come */
            memory = fixture_memory_in_use();
            handles = fixture_open_handles();
        }
    }
    assert_true(fixture_handles_left(handles));
    assert_true(fixture_memory_in_use() <= memory + 10000);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(five_thousand_ready_at_once_are_served_once_each),
    cmocka_unit_test_home(one_busy_handle_among_thousands_is_served_alone),
    cmocka_unit_test_home(handles_come_and_go_in_any_order),
    cmocka_unit_test_home(two_hundred_handlers_nest),
    cmocka_unit_test_home(handles_come_and_go_and_leave_nothing),
};
TEST_MAIN(tests)
