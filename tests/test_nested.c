/*
 * Iterations inside of callbacks.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

#include "tests/probe.h"

typedef struct Dive {
    AioContext *ctx;
    AioTimer timer;
    int depth;
    int bottom;
    int deepest;
} Dive;

static void dive(void *opaque);

static void dive_by_handler(Probe *probe)
{
    dive(probe->arg);
}

static void dive(void *opaque)
{
    Dive *dive_state = opaque;
    Probe probe;
    if (++dive_state->depth > dive_state->deepest) {
        dive_state->deepest = dive_state->depth;
    }
    if (dive_state->depth < dive_state->bottom) {
        switch (dive_state->depth % 3) { /* of each kind in turn */
        case 0:
            aio_bh_schedule_oneshot(dive_state->ctx, dive, dive_state);
            assert_true(drive(dive_state->ctx, true));
            break;
        case 1:
            aio_timer_mod(&dive_state->timer, 0);
            assert_true(drive(dive_state->ctx, true));
            break;
        default:
            probe_open_reader(&probe, dive_state->ctx);
            probe.on_read = dive_by_handler;
            probe.arg = dive_state;
            probe_ping(&probe);
            assert_true(drive(dive_state->ctx, true));
            assert_int_equal(probe.reads, 1);
            probe_close(&probe);
        }
    }
    dive_state->depth--;
}

static void iterations_nest_a_hundred_deep(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Dive dive_state = {.ctx = ctx, .bottom = 100};
    aio_timer_init(ctx, &dive_state.timer, AIO_CLOCK_REALTIME, 1, dive, &dive_state);
    for (int i = 0; i < 3; i++) {
        dive_state.deepest = 0;
        aio_bh_schedule_oneshot(ctx, dive, &dive_state);
        assert_true(drive(ctx, true));
        assert_int_equal(dive_state.deepest, 100);
        assert_int_equal(dive_state.depth, 0);
        assert_false(drive(ctx, false));
    }
    assert_int_equal(probe_handlers(ctx), 0);
    aio_timer_deinit(&dive_state.timer);
    fixture_context_free(ctx);
}

static void poll_in_a_coroutine(void *opaque)
{
    drive(opaque, false);
}

static void enter_and_poll(void *opaque)
{
    AioContext *ctx = fixture_context();
    (void)opaque;
    aio_co_resume(aio_co_create(poll_in_a_coroutine, ctx));
}

static void iteration_in_a_coroutine_is_fatal(void **state)
{
    (void)state;
    assert_true(fixture_dies(enter_and_poll, NULL, "aio_poll"));
}

enum { MANY = 200 };

static int served(const Probe *all)
{
    int count = 0;
    for (int i = 0; i < MANY; i++) {
        count += all[i].reads > 0;
    }
    return count;
}

static void wait_for_all(Probe *probe)
{
    while (served(probe->arg) < MANY) {
        assert_true(drive(probe->ctx, true));
    }
}

/* Whichever comes first waits for all the others. */
static void all_found_case(unsigned flags)
{
    static Probe probes[MANY];
    AioContext *ctx = fixture_home();
    for (int i = 0; i < MANY; i++) {
        probe_open(&probes[i], ctx);
        probes[i].on_read = wait_for_all;
        probes[i].arg = probes;
        probe_set(&probes[i], PROBE_READ, flags);
    }
    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < MANY; i++) {
            probes[i].reads = 0;
            probe_ping(&probes[i]);
        }
        assert_true(drive(ctx, true));
        assert_false(drive(ctx, false));
        for (int i = 0; i < MANY; i++) {
            assert_int_equal(probes[i].reads, 1); /* and not by the outer one again */
        }
    }
    for (int i = 0; i < MANY; i++) {
        probe_close(&probes[i]);
    }
    fixture_context_free(ctx);
}

static void inner_iteration_runs_what_the_outer_found(void **state)
{
    (void)state;
    all_found_case(0);
    all_found_case(AIO_HANDLER_EDGE);
}

static void take_from_the_other(Probe *probe)
{
    Probe *other = probe->arg;
    char buffer[16];
    if (other->reads == 0) { /* the first of the two */
        other->on_read = NULL;
        assert_int_equal(fixture_read(other->pair.a, buffer, sizeof(buffer)), 1);
        drive(probe->ctx, false);
    }
}

static void what_the_inner_iteration_finds_no_longer_is_not_run_by_the_outer(AioContext *ctx)
{
    Probe a, b;
    probe_open_reader(&a, ctx);
    probe_open_reader(&b, ctx);
    a.on_read = b.on_read = take_from_the_other;
    a.arg = &b;
    b.arg = &a;
    probe_ping(&a);
    probe_ping(&b);
    assert_true(drive(ctx, true));
    assert_int_equal(a.reads + b.reads, 1);
    assert_false(drive(ctx, false));
    probe_close(&a);
    probe_close(&b);
}

static void run_inside_once(Probe *probe)
{
    probe->on_read = NULL;
    assert_true(drive(probe->ctx, false));
}

static void write_that_the_inner_iteration_ran_is_not_run_by_the_outer(AioContext *ctx)
{
    Probe a;
    probe_open(&a, ctx);
    a.on_read = run_inside_once;
    probe_set(&a, PROBE_READ | PROBE_WRITE, 0);
    probe_ping(&a);
    assert_true(drive(ctx, false));
    assert_int_equal(a.reads, 1);
    assert_int_equal(a.writes, 1);
    probe_close(&a);
}

static void dive_while_ready(Probe *probe)
{
    int *deepest = probe->arg;
    if (probe->reads < 4) {
        assert_true(drive(probe->ctx, false));
        *deepest = probe->reads > *deepest ? probe->reads : *deepest;
    } else {
        probe->keep = false;
    }
}

static void handler_still_ready_is_entered_again_by_an_inner_iteration(AioContext *ctx)
{
    Probe a;
    int deepest = 0;
    probe_open_reader(&a, ctx);
    a.keep = true;
    a.on_read = dive_while_ready;
    a.arg = &deepest;
    probe_ping(&a);
    assert_true(drive(ctx, true));
    assert_int_equal(deepest, 4);
    probe_close(&a);
}

static void run_inside_ready_callback(Probe *probe)
{
    int *depth = probe->arg;
    ++*depth;
    assert_in_range(*depth, 1, 1);
    drive(probe->ctx, false);
    --*depth;
}

static void handler_found_by_busy_polling_is_not_entered_again(AioContext *ctx)
{
    Probe a;
    int depth = 0;
    probe_open(&a, ctx);
    probe_set(&a, PROBE_READ | PROBE_POLL | PROBE_READY, 0);
    aio_context_set_poll_params(ctx, 1000000000, 0, 0, NULL);
    probe_ping(&a);
    assert_true(drive(ctx, true));
    a.found = true;
    a.on_ready = run_inside_ready_callback;
    a.arg = &depth;
    for (int i = 1; i <= 3; i++) {
        assert_true(drive(ctx, true));
        assert_int_equal(a.readies, i);
    }
    probe_close(&a);
}

static void sleep_inside(Probe *probe)
{
    uint64_t *writes = probe->arg;
    probe_sleep(probe->ctx, 20);
    /* Awake again, though the outer iteration is a blocking one: nobody has to be woken. */
    *writes = probe_counters(probe->ctx).notifier_writes;
    aio_notify(probe->ctx);
    *writes = probe_counters(probe->ctx).notifier_writes - *writes;
}

static void inner_sleep_is_woken_and_the_outer_iteration_is_awake(AioContext *ctx)
{
    Probe a;
    uint64_t writes = 1;
    probe_open_reader(&a, ctx);
    a.on_read = sleep_inside;
    a.arg = &writes;
    probe_ping(&a);
    assert_true(drive(ctx, true));
    assert_int_equal(writes, 0);
    assert_false(drive(ctx, true)); /* the notification is remembered */
    assert_in_range(probe_sleep(ctx, 20), 1, 10);
    probe_close(&a);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(iterations_nest_a_hundred_deep),
    cmocka_unit_test(iteration_in_a_coroutine_is_fatal),
    cmocka_unit_test(inner_iteration_runs_what_the_outer_found),
    cmocka_unit_test_home(what_the_inner_iteration_finds_no_longer_is_not_run_by_the_outer),
    cmocka_unit_test_home(write_that_the_inner_iteration_ran_is_not_run_by_the_outer),
    cmocka_unit_test_home(handler_still_ready_is_entered_again_by_an_inner_iteration),
    cmocka_unit_test_home(handler_found_by_busy_polling_is_not_entered_again),
    cmocka_unit_test_home(inner_sleep_is_woken_and_the_outer_iteration_is_awake),
};
TEST_MAIN(tests)
