/*
 * Handlers changed by other threads than the loop's: what takes effect when.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

#include "tests/probe.h"
#include "tests/worker.h"

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

static void ready_handler_added_elsewhere_runs_in_a_sleeping_loop(AioContext *ctx)
{
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
}

static void count_begin(void *opaque)
{
    ((Probe *)opaque)->begins++;
}

static void count_end(void *opaque)
{
    ((Probe *)opaque)->ends++;
}

static void changes_of_a_thread_are_applied_in_their_order(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
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

static void sets_of_one_handle_that_are_not_applied_do_not_pile_up(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context(); /* nobody is at home */
    Probe a;
    probe_open(&a, ctx);
    probe_ping(&a);
    probe_set(&a, PROBE_READ, 0);
    size_t memory = fixture_memory_in_use();
    for (int i = 0; i < 10000; i++) {
        probe_set(&a, i % 2 ? PROBE_READ : PROBE_WRITE, 0);
    }
    assert_true(fixture_memory_in_use() < memory + 100000);
    assert_true(drive(ctx, false));
    assert_int_equal(a.reads, 1); /* the last one counts */
    assert_int_equal(a.writes, 0);
    assert_int_equal(probe_handlers(ctx), 1);
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
        if (i % 100 == 0) {
            fixture_sleep_ms(1); /* what is replaced all the time is never served */
        }
    }
    aio_handler_remove_wait(worker->ctx, fd, fixture_pair_kind());
    worker->bad = atomic_load(&wrong) > 0;
}

static void callback_and_opaque_stay_together_while_a_thread_replaces_them(AioContext *ctx)
{
    Probe a;
    probe_open(&a, ctx);
    probe_ping(&a);
    Worker worker = {.probe = &a};
    worker_run(ctx, &worker, toggle);
    assert_int_equal(probe_handlers(ctx), 0);
    assert_true(probe_counters(ctx).handler_calls > 0);
    fixture_pair_close(&a.pair);
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
        worker->bad = !worker_await(worker, step + 1);
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

static void every_descriptor_that_a_thread_adds_around_the_64th_is_served(AioContext *ctx)
{
    enum { N = 62, THREADS = 3 };
    static Probe probes[N];
    for (int i = 0; i < N; i++) {
        probe_open_reader(&probes[i], ctx);
    }
    Worker workers[THREADS] = {{.step = 0}};
    FixtureThread *threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        threads[i] = worker_start(&workers[i], ctx, readers_come_and_go);
    }
    worker_run_with(ctx, workers, THREADS, threads);
    assert_int_equal(probe_handlers(ctx), N);
    for (int i = 0; i < N; i++) {
        assert_int_equal(probes[i].calls, 0);
        probe_close(&probes[i]);
    }
}

static void handlers_with_poll_callbacks_come_and_go_while_the_loop_busy_polls(AioContext *ctx)
{
    enum { THREADS = 2 };
    Worker workers[THREADS] = {{.step = 0}};
    FixtureThread *threads[THREADS];
    Probe a;
    probe_open(&a, ctx);
    probe_set(&a, PROBE_READ | PROBE_POLL | PROBE_BRACKETS, 0);
    aio_context_set_poll_params(ctx, 200000, 2, 2, NULL);
    for (int i = 0; i < THREADS; i++) {
        threads[i] = worker_start(&workers[i], ctx, pollables_come_and_go);
    }
    worker_run_with(ctx, workers, THREADS, threads);
    assert_true(probe_counters(ctx).busy_polls > 0);
    probe_close(&a);
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
                fixture_write(probe->pair.b, "?", 1); /* it may be full */
                aio_enable_external(worker->ctx);
            }
        }
        fixture_yield();
    }
}

static void threads_change_the_same_handles_at_random(AioContext *ctx)
{
    enum { THREADS = 3 };
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
    worker_run_with(ctx, workers, THREADS, threads);
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
}

static void brackets_are_set_for_a_handler_that_is_queued(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context(); /* not bound: changes are queued */
    Probe a;
    probe_open(&a, ctx);
    a.found = true;
    probe_set(&a, PROBE_READ | PROBE_POLL, 0);
    aio_set_fd_poll(ctx, (int)a.pair.a, count_begin, count_end);
    aio_context_set_poll_params(ctx, 1000000000, 0, 0, NULL);
    probe_ping(&a);
    assert_true(drive(ctx, true));
    assert_true(drive(ctx, true));
    assert_int_equal(a.begins, 1);
    a.found = false;
    assert_in_range(probe_sleep(ctx, 20), 1, 10);
    assert_int_equal(a.ends, 1);
    probe_close(&a);
    fixture_context_free(ctx);
}

static void brackets_that_are_queued_keep_their_place_among_changes(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context(); /* not bound: changes are queued */
    Probe a, b;
    probe_open(&a, ctx);
    probe_open(&b, ctx);
    a.found = b.found = true;
    aio_set_fd_poll(ctx, (int)a.pair.a, count_begin, count_end); /* of nothing yet */
    probe_set(&a, PROBE_READ | PROBE_POLL, 0);
    probe_set(&b, PROBE_READ | PROBE_POLL, 0);
    aio_set_fd_poll(ctx, (int)b.pair.a, count_begin, count_end);
    probe_set(&b, PROBE_READ | PROBE_POLL, 0); /* clears them */
    aio_context_set_poll_params(ctx, 1000000000, 0, 0, NULL);
    probe_ping(&a);
    assert_true(drive(ctx, true));
    assert_true(drive(ctx, true));
    assert_true(a.polls > 0 && b.polls > 0);
    assert_int_equal(a.begins + b.begins, 0);
    probe_close(&a);
    probe_close(&b);
    fixture_context_free(ctx);
}

static void note_step(void *opaque)
{
    atomic_fetch_add(&((Worker *)opaque)->step, 1);
}

static void add_and_remove_at_once(Worker *worker)
{
    AioContextInfo info = {.size = sizeof(info)};
    for (int i = 1; i <= 3000 && !worker->bad; i++) {
        probe_set(worker->probe, PROBE_READ, 0);
        probe_remove(worker->probe);
        for (int turn = 1; turn <= 2; turn++) { /* the first may run before changes are applied */
            aio_bh_schedule_oneshot(worker->ctx, note_step, worker);
            worker_await(worker, 2 * i - 2 + turn);
        }
        aio_context_info(worker->ctx, &info);
        worker->bad |= info.handlers != 0;
    }
}

static void removal_is_not_lost_while_the_addition_is_applied(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Probe a;
    probe_open(&a, ctx);
    Worker worker = {.ctx = ctx, .probe = &a};
    worker_run(ctx, &worker, add_and_remove_at_once);
    assert_false(worker.bad);
    probe_close(&a);
    fixture_context_free(ctx);
}

static void set_elsewhere(void *opaque)
{
    probe_set(opaque, PROBE_READ, 0);
}

static void change_at_home_follows_those_of_others_before_it(AioContext *ctx)
{
    Probe a;
    probe_open(&a, ctx);
    probe_ping(&a);
    fixture_thread_join(fixture_thread_start(set_elsewhere, &a));
    probe_remove(&a);
    assert_false(drive(ctx, false));
    assert_int_equal(a.calls, 0);
    assert_int_equal(probe_handlers(ctx), 0);
    fixture_thread_join(fixture_thread_start(set_elsewhere, &a));
    probe_set(&a, PROBE_WRITE, 0);
    assert_true(drive(ctx, false));
    assert_int_equal(a.reads, 0);
    assert_int_equal(a.writes, 1);
    probe_close(&a);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(ready_handler_added_elsewhere_runs_in_a_sleeping_loop),
    cmocka_unit_test(changes_of_a_thread_are_applied_in_their_order),
    cmocka_unit_test(sets_of_one_handle_that_are_not_applied_do_not_pile_up),
    cmocka_unit_test_home(callback_and_opaque_stay_together_while_a_thread_replaces_them),
    cmocka_unit_test_home(every_descriptor_that_a_thread_adds_around_the_64th_is_served),
    cmocka_unit_test_home(handlers_with_poll_callbacks_come_and_go_while_the_loop_busy_polls),
    cmocka_unit_test_home(threads_change_the_same_handles_at_random),
    cmocka_unit_test(brackets_are_set_for_a_handler_that_is_queued),
    cmocka_unit_test(removal_is_not_lost_while_the_addition_is_applied),
    cmocka_unit_test(brackets_that_are_queued_keep_their_place_among_changes),
    cmocka_unit_test_home(change_at_home_follows_those_of_others_before_it),
};
TEST_MAIN(tests)
