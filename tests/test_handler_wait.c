/*
 * Removals of handlers that wait: for callbacks, of whichever registration, and for nothing else.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

#include "tests/probe.h"
#include "tests/worker.h"

static void remove_and_wait(Worker *worker)
{
    aio_handler_remove_wait(worker->ctx, worker->probe->pair.a, fixture_pair_kind());
}

static void removal_waits_for_nothing_in_a_sleeping_loop(AioContext *ctx)
{
    Probe a, stranger;
    probe_open_reader(&a, ctx);
    probe_open(&stranger, ctx);
    Worker worker = {.probe = &a}, other = {.probe = &stranger};
    worker_run(ctx, &worker, remove_and_wait);
    assert_int_equal(probe_handlers(ctx), 0);
    worker_run(ctx, &other, remove_and_wait); /* not registered: nothing to wait for */
    worker_run(ctx, &other, remove_and_wait);
    fixture_pair_close(&a.pair);
    fixture_pair_close(&stranger.pair);
}

static void step_in_and_out(Probe *probe)
{
    Worker *worker = probe->arg;
    atomic_store(&worker->step, 1);
    fixture_sleep_ms(50);
    atomic_store(&worker->step, 2);
}

static void remove_while_it_runs(Worker *worker)
{
    Worker *told = worker->probe->arg; /* by the callback */
    bool bad = !worker_await(told, 1);
    remove_and_wait(worker);
    worker->bad |= bad || atomic_load(&told->step) != 2;
}

static void removal_waits_for_the_callback_that_runs(AioContext *ctx)
{
    Probe a;
    probe_open_reader(&a, ctx);
    Worker worker = {.probe = &a};
    a.on_read = step_in_and_out;
    a.arg = &worker;
    probe_ping(&a);
    worker_run(ctx, &worker, remove_while_it_runs);
    assert_int_equal(a.reads, 1);
    fixture_pair_close(&a.pair);
}

/* Its callback runs the loop: the removal is applied in there, and waits until the callback returned. */
static void run_loop_inside(Probe *probe)
{
    Worker *worker = probe->arg;
    atomic_store(&worker->step, 1);
    while (probe_handlers(probe->ctx) > 0) {
        drive(probe->ctx, false);
        fixture_yield();
    }
    for (int i = 0; i < 10; i++) {
        drive(probe->ctx, false);
        fixture_sleep_ms(5);
    }
    worker->early = atomic_load(&worker->done);
    atomic_store(&worker->step, 2);
}

static void removal_waits_for_a_callback_that_runs_the_loop(AioContext *ctx)
{
    Probe a;
    probe_open_reader(&a, ctx);
    Worker worker = {.probe = &a};
    a.on_read = run_loop_inside;
    a.arg = &worker;
    probe_ping(&a);
    worker_run(ctx, &worker, remove_while_it_runs);
    fixture_pair_close(&a.pair);
}

/* As before, but it replaced itself by a second registration of the same handle first. */
static void replace_and_run_loop_inside(Probe *probe)
{
    probe_remove(probe);
    probe_set(probe, PROBE_READ, 0);
    run_loop_inside(probe);
}

static void removal_waits_for_a_callback_of_an_earlier_registration(AioContext *ctx)
{
    Probe a;
    probe_open_reader(&a, ctx);
    Worker worker = {.probe = &a};
    a.on_read = replace_and_run_loop_inside;
    a.arg = &worker;
    probe_ping(&a);
    worker_run(ctx, &worker, remove_while_it_runs);
    fixture_pair_close(&a.pair);
}

static void several_threads_wait_for_the_same_removal(AioContext *ctx)
{
    enum { THREADS = 4 };
    Probe a;
    Worker workers[THREADS] = {{.step = 0}};
    FixtureThread *threads[THREADS];
    probe_open_reader(&a, ctx);
    a.on_read = step_in_and_out;
    a.arg = &workers[0];
    probe_ping(&a);
    for (int i = 0; i < THREADS; i++) {
        workers[i].probe = &a;
        threads[i] = worker_start(&workers[i], ctx, remove_while_it_runs);
    }
    worker_run_with(ctx, workers, THREADS, threads);
    assert_int_equal(probe_handlers(ctx), 0);
    fixture_pair_close(&a.pair);
}

static void remove_and_wait_at_home(Probe *probe)
{
    aio_handler_remove_wait(probe->ctx, probe->pair.a, fixture_pair_kind());
    fixture_pair_close(&probe->pair);
}

static void removal_at_home_does_not_wait(AioContext *ctx)
{
    Probe a;
    probe_open_reader(&a, ctx);
    a.on_read = remove_and_wait_at_home;
    probe_ping(&a);
    assert_true(drive(ctx, true));
    assert_int_equal(a.reads, 1);
    assert_int_equal(probe_handlers(ctx), 0);
}

static bool look_slowly(void *opaque)
{
    Probe *probe = opaque;
    Worker *worker = probe->arg;
    atomic_store(&worker->step, 1);
    fixture_sleep_ms(30);
    atomic_store(&worker->step, 2);
    return false;
}

static void removal_waits_for_the_poll_callback_that_runs(AioContext *ctx)
{
    Probe a;
    Worker worker = {.probe = &a};
    probe_open(&a, ctx);
    probe_set(&a, PROBE_READ | PROBE_POLL, 0);
    aio_context_set_poll_params(ctx, 1000000000, 0, 0, NULL);
    probe_ping(&a);
    assert_true(drive(ctx, true));
    a.arg = &worker;
    aio_set_fd_handler(ctx, (int)a.pair.a, false, (AioHandlerFunc *)NULL, NULL, look_slowly, &a);
    worker_run(ctx, &worker, remove_while_it_runs);
    assert_int_equal(probe_handlers(ctx), 0);
    fixture_pair_close(&a.pair);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(removal_waits_for_nothing_in_a_sleeping_loop),
    cmocka_unit_test_home(removal_waits_for_the_callback_that_runs),
    cmocka_unit_test_home(removal_waits_for_a_callback_that_runs_the_loop),
    cmocka_unit_test_home(removal_waits_for_a_callback_of_an_earlier_registration),
    cmocka_unit_test_home(several_threads_wait_for_the_same_removal),
    cmocka_unit_test_home(removal_at_home_does_not_wait),
    cmocka_unit_test_home(removal_waits_for_the_poll_callback_that_runs),
};
TEST_MAIN(tests)
