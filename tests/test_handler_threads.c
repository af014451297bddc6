/*
 * Handlers changed by other threads than the loop's: what takes effect when, and removals that wait.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

#include "tests/probe.h"

/* A thread that works on a context, while this one runs it. */
typedef struct Worker {
    AioContext *ctx;
    void (*work)(struct Worker *worker);
    Probe *probe;
    int64_t end; /* of a hammer */
    atomic_int step;
    atomic_bool done;
    bool bad;   /* the worker's, looked at after the join */
    bool early; /* the loop's, the same */
} Worker;

static void worker_main(void *opaque)
{
    Worker *worker = opaque;
    worker->work(worker);
    atomic_store(&worker->done, true);
    aio_notify(worker->ctx);
}

static FixtureThread *worker_start(Worker *worker, AioContext *ctx, void (*work)(Worker *worker))
{
    worker->ctx = ctx;
    worker->work = work;
    atomic_store(&worker->done, false);
    worker->end = fixture_now_ns() + 1500000000 * (int64_t)fixture_long();
    return fixture_thread_start(worker_main, worker);
}

/* Run the loop until all workers are done. */
static void run_with(AioContext *ctx, Worker *workers, int count, FixtureThread **threads)
{
    for (int i = 0; i < count; i++) {
        while (!atomic_load(&workers[i].done)) {
            drive(ctx, true);
        }
        fixture_thread_join(threads[i]);
        assert_false(workers[i].bad);
        assert_false(workers[i].early);
    }
}

static void run_one(AioContext *ctx, Worker *worker, void (*work)(Worker *worker))
{
    FixtureThread *thread = worker_start(worker, ctx, work);
    run_with(ctx, worker, 1, &thread);
}

/* In a worker: wait until somebody has set the step. */
static bool await(Worker *worker, int step)
{
    int64_t end = fixture_now_ns() + 20000000000;
    while (atomic_load(&worker->step) < step) {
        if (fixture_now_ns() > end) {
            return false;
        }
        fixture_yield();
    }
    return true;
}

static void next_step(Probe *probe)
{
    atomic_fetch_add(&((Worker *)probe->arg)->step, 1);
}

static void add_soon(void *opaque)
{
    Probe *probe = opaque;
    fixture_sleep_ms(20);
    probe_set(probe, PROBE_READ, 0);
}

static void ready_handler_added_elsewhere_runs_in_a_sleeping_loop(void **state)
{
    (void)state;
    AioContext *ctx = probe_context();
    for (int i = 0; i < 5; i++) {
        Probe a;
        probe_open(&a, ctx);
        probe_ping(&a);
        FixtureThread *thread = fixture_thread_start(add_soon, &a);
        assert_true(drive(ctx, true)); /* being told of a change alone does not end it */
        assert_int_equal(a.reads, 1);
        fixture_thread_join(thread);
        probe_close(&a);
    }
    fixture_context_free(ctx);
}

static void changes_of_a_thread_are_applied_in_their_order(void **state)
{
    (void)state;
    AioContext *ctx = probe_context();
    Probe a, b;
    probe_open(&a, ctx);
    b = (Probe){.ctx = ctx, .pair = a.pair};
    probe_ping(&a);
    /* Not at home: the context belongs to no thread. */
    aio_context_unbind(ctx);
    probe_set(&a, PROBE_READ, 0);
    probe_remove(&a);
    probe_set(&a, PROBE_WRITE, 0);
    probe_set(&b, PROBE_READ, 0);
    assert_true(drive(ctx, false));
    assert_int_equal(a.calls, 0);
    assert_int_equal(b.reads, 1);
    assert_int_equal(probe_handlers(ctx), 1);
    aio_context_unbind(ctx);
    probe_ping(&a);
    probe_set(&a, PROBE_READ, 0);
    probe_remove(&a);
    assert_false(drive(ctx, false));
    assert_int_equal(a.calls + b.calls, 1);
    assert_int_equal(probe_handlers(ctx), 0);
    probe_close(&a);
    fixture_context_free(ctx);
}

typedef struct Toggle {
    atomic_int *wrong;
    int id;
} Toggle;

static void expect_one(void *opaque)
{
    const Toggle *toggle = opaque;
    atomic_fetch_add(toggle->wrong, toggle->id != 1);
}

static void expect_two(void *opaque)
{
    const Toggle *toggle = opaque;
    atomic_fetch_add(toggle->wrong, toggle->id != 2);
}

static void toggle(Worker *worker)
{
    atomic_int wrong = 0;
    Toggle one = {.wrong = &wrong, .id = 1}, two = {.wrong = &wrong, .id = 2};
    int fd = (int)worker->probe->pair.a;
    for (int i = 0; fixture_now_ns() < worker->end; i++) {
        bool first = i % 2;
        aio_set_fd_handler(worker->ctx, fd, i % 3 == 0, first ? expect_one : expect_two,
                           first ? NULL : expect_two, NULL, first ? &one : &two);
        if (i % 1000 == 0) {
            fixture_yield();
        }
    }
    aio_handler_remove_wait(worker->ctx, fd, fixture_pair_kind());
    worker->bad = atomic_load(&wrong) > 0;
}

static void callback_and_opaque_stay_together_while_a_thread_replaces_them(void **state)
{
    (void)state;
    AioContext *ctx = probe_context();
    Probe a;
    probe_open(&a, ctx);
    probe_ping(&a);
    Worker worker = {.probe = &a};
    run_one(ctx, &worker, toggle);
    assert_int_equal(probe_handlers(ctx), 0);
    assert_true(probe_counters(ctx).handler_calls > 0);
    fixture_pair_close(&a.pair);
    fixture_context_free(ctx);
}

/* Open, register, be served, remove, close, again and again: each new descriptor must be served. */
static void come_and_go(Worker *worker, unsigned callbacks)
{
    while (fixture_now_ns() < worker->end && !worker->bad) {
        Probe *probe = malloc(sizeof(*probe));
        int step = atomic_load(&worker->step);
        probe_open(probe, worker->ctx);
        probe->on_read = next_step;
        probe->arg = worker;
        probe_set(probe, callbacks, 0);
        probe_ping(probe);
        worker->bad = !await(worker, step + 1);
        aio_handler_remove_wait(worker->ctx, probe->pair.a, fixture_pair_kind());
        fixture_pair_close(&probe->pair);
        free(probe);
    }
}

static void readers_come_and_go(Worker *worker)
{
    come_and_go(worker, PROBE_READ);
}

static void pollables_come_and_go(Worker *worker)
{
    come_and_go(worker, PROBE_READ | PROBE_POLL | PROBE_BRACKETS);
}

static void every_descriptor_that_a_thread_adds_around_the_64th_is_served(void **state)
{
    (void)state;
    enum { N = 62, THREADS = 3 };
    static Probe probes[N];
    AioContext *ctx = probe_context();
    for (int i = 0; i < N; i++) {
        probe_open_reader(&probes[i], ctx);
    }
    Worker workers[THREADS] = {{.step = 0}};
    FixtureThread *threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        threads[i] = worker_start(&workers[i], ctx, readers_come_and_go);
    }
    run_with(ctx, workers, THREADS, threads);
    assert_int_equal(probe_handlers(ctx), N);
    for (int i = 0; i < N; i++) {
        assert_int_equal(probes[i].calls, 0);
        probe_close(&probes[i]);
    }
    fixture_context_free(ctx);
}

static void handlers_with_poll_callbacks_come_and_go_while_the_loop_busy_polls(void **state)
{
    (void)state;
    enum { THREADS = 2 };
    AioContext *ctx = probe_context();
    Worker workers[THREADS] = {{.step = 0}};
    FixtureThread *threads[THREADS];
    Probe a;
    probe_open(&a, ctx);
    probe_set(&a, PROBE_READ | PROBE_POLL | PROBE_BRACKETS, 0);
    aio_context_set_poll_params(ctx, 200000, 2, 2, NULL);
    for (int i = 0; i < THREADS; i++) {
        threads[i] = worker_start(&workers[i], ctx, pollables_come_and_go);
    }
    run_with(ctx, workers, THREADS, threads);
    assert_true(probe_counters(ctx).busy_polls > 0);
    probe_close(&a);
    fixture_context_free(ctx);
}

/* Threads that change the same few handles, with no regard for each other. */
static void change_at_random(Worker *worker)
{
    unsigned seed = (unsigned)(uintptr_t)worker;
    while (fixture_now_ns() < worker->end) {
        for (int i = 0; i < 20; i++) {
            seed = seed * 1103515245 + 12345;
            Probe *probe = &worker->probe[(seed >> 16) % 4];
            switch ((seed >> 24) % 5) {
            case 0:
                probe_remove(probe);
                break;
            case 1:
                aio_handler_remove_wait(worker->ctx, probe->pair.a, fixture_pair_kind());
                break;
            case 2:
                probe_set(probe, PROBE_READ, AIO_HANDLER_EXTERNAL);
                break;
            case 3:
                probe_set(probe, PROBE_READ | PROBE_WRITE, AIO_HANDLER_EDGE);
                break;
            default:
                aio_disable_external(worker->ctx);
                probe_ping(probe);
                aio_enable_external(worker->ctx);
            }
        }
        fixture_yield();
    }
}

static void threads_change_the_same_handles_at_random(void **state)
{
    (void)state;
    enum { THREADS = 3 };
    AioContext *ctx = probe_context();
    Probe probes[4];
    Worker workers[THREADS] = {{.step = 0}};
    FixtureThread *threads[THREADS];
    for (int i = 0; i < 4; i++) {
        probe_open(&probes[i], ctx);
    }
    for (int i = 0; i < THREADS; i++) {
        workers[i].probe = probes;
        threads[i] = worker_start(&workers[i], ctx, change_at_random);
    }
    run_with(ctx, workers, THREADS, threads);
    drive(ctx, false);
    assert_false(aio_external_disabled(ctx));
    for (int i = 0; i < 4; i++) { /* all is as a quiet context has it */
        probe_set(&probes[i], PROBE_READ, 0);
    }
    while (drive(ctx, false)) {
        continue;
    }
    for (int i = 0; i < 4; i++) {
        int reads = probes[i].reads;
        probe_ping(&probes[i]);
        assert_true(drive(ctx, false));
        assert_int_equal(probes[i].reads, reads + 1);
        probe_close(&probes[i]);
    }
    assert_int_equal(probe_handlers(ctx), 0);
    fixture_context_free(ctx);
}

/* Removals that wait. */

static void remove_and_wait(Worker *worker)
{
    aio_handler_remove_wait(worker->ctx, worker->probe->pair.a, fixture_pair_kind());
}

static void removal_waits_for_nothing_in_a_sleeping_loop(void **state)
{
    (void)state;
    AioContext *ctx = probe_context();
    Probe a, stranger;
    probe_open_reader(&a, ctx);
    probe_open(&stranger, ctx);
    Worker worker = {.probe = &a}, other = {.probe = &stranger};
    run_one(ctx, &worker, remove_and_wait);
    assert_int_equal(probe_handlers(ctx), 0);
    run_one(ctx, &other, remove_and_wait); /* not registered: nothing to wait for */
    run_one(ctx, &other, remove_and_wait);
    fixture_pair_close(&a.pair);
    fixture_pair_close(&stranger.pair);
    fixture_context_free(ctx);
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
    bool bad = !await(told, 1);
    remove_and_wait(worker);
    worker->bad |= bad || atomic_load(&told->step) != 2;
}

static void removal_waits_for_the_callback_that_runs(void **state)
{
    (void)state;
    AioContext *ctx = probe_context();
    Probe a;
    probe_open_reader(&a, ctx);
    Worker worker = {.probe = &a};
    a.on_read = step_in_and_out;
    a.arg = &worker;
    probe_ping(&a);
    run_one(ctx, &worker, remove_while_it_runs);
    assert_int_equal(a.reads, 1);
    fixture_pair_close(&a.pair);
    fixture_context_free(ctx);
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

static void removal_waits_for_a_callback_that_runs_the_loop(void **state)
{
    (void)state;
    AioContext *ctx = probe_context();
    Probe a;
    probe_open_reader(&a, ctx);
    Worker worker = {.probe = &a};
    a.on_read = run_loop_inside;
    a.arg = &worker;
    probe_ping(&a);
    run_one(ctx, &worker, remove_while_it_runs);
    fixture_pair_close(&a.pair);
    fixture_context_free(ctx);
}

/* As before, but it replaced itself by a second registration of the same handle first. */
static void replace_and_run_loop_inside(Probe *probe)
{
    probe_remove(probe);
    probe_set(probe, PROBE_READ, 0);
    run_loop_inside(probe);
}

static void removal_waits_for_a_callback_of_an_earlier_registration(void **state)
{
    (void)state;
    AioContext *ctx = probe_context();
    Probe a;
    probe_open_reader(&a, ctx);
    Worker worker = {.probe = &a};
    a.on_read = replace_and_run_loop_inside;
    a.arg = &worker;
    probe_ping(&a);
    run_one(ctx, &worker, remove_while_it_runs);
    fixture_pair_close(&a.pair);
    fixture_context_free(ctx);
}

static void several_threads_wait_for_the_same_removal(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    AioContext *ctx = probe_context();
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
    run_with(ctx, workers, THREADS, threads);
    assert_int_equal(probe_handlers(ctx), 0);
    fixture_pair_close(&a.pair);
    fixture_context_free(ctx);
}

static void remove_and_wait_at_home(Probe *probe)
{
    aio_handler_remove_wait(probe->ctx, probe->pair.a, fixture_pair_kind());
    fixture_pair_close(&probe->pair);
}

static void removal_at_home_does_not_wait(void **state)
{
    (void)state;
    AioContext *ctx = probe_context();
    Probe a;
    probe_open_reader(&a, ctx);
    a.on_read = remove_and_wait_at_home;
    probe_ping(&a);
    assert_true(drive(ctx, true));
    assert_int_equal(a.reads, 1);
    assert_int_equal(probe_handlers(ctx), 0);
    fixture_context_free(ctx);
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

static void removal_waits_for_the_poll_callback_that_runs(void **state)
{
    (void)state;
    AioContext *ctx = probe_context();
    Probe a;
    Worker worker = {.probe = &a};
    probe_open(&a, ctx);
    probe_set(&a, PROBE_READ | PROBE_POLL, 0);
    aio_context_set_poll_params(ctx, 1000000000, 0, 0, NULL);
    probe_ping(&a);
    assert_true(drive(ctx, true));
    a.arg = &worker;
    aio_set_fd_handler(ctx, (int)a.pair.a, false, (AioHandlerFunc *)NULL, NULL, look_slowly, &a);
    run_one(ctx, &worker, remove_while_it_runs);
    assert_int_equal(probe_handlers(ctx), 0);
    fixture_pair_close(&a.pair);
    fixture_context_free(ctx);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(ready_handler_added_elsewhere_runs_in_a_sleeping_loop),
    cmocka_unit_test(changes_of_a_thread_are_applied_in_their_order),
    cmocka_unit_test(callback_and_opaque_stay_together_while_a_thread_replaces_them),
    cmocka_unit_test(every_descriptor_that_a_thread_adds_around_the_64th_is_served),
    cmocka_unit_test(handlers_with_poll_callbacks_come_and_go_while_the_loop_busy_polls),
    cmocka_unit_test(threads_change_the_same_handles_at_random),
    cmocka_unit_test(removal_waits_for_nothing_in_a_sleeping_loop),
    cmocka_unit_test(removal_waits_for_the_callback_that_runs),
    cmocka_unit_test(removal_waits_for_a_callback_that_runs_the_loop),
    cmocka_unit_test(removal_waits_for_a_callback_of_an_earlier_registration),
    cmocka_unit_test(several_threads_wait_for_the_same_removal),
    cmocka_unit_test(removal_at_home_does_not_wait),
    cmocka_unit_test(removal_waits_for_the_poll_callback_that_runs),
};
TEST_MAIN(tests)
