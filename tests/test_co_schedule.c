/*
 * Coroutines and contexts: scheduling, waking and entering from inside and outside.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/co_help.h"

/* One that notes each of its runs, and where it runs. */
typedef struct Runner {
    AioCoroutine *co;
    CoLog *log;
    char name;
    int runs;
    AioContext *ctx;     /* that it was told to run in */
    AioContext *current; /* that its thread runs */
    AioContext *partner_ctx;
    struct Runner *partner;
} Runner;

static void note_run(Runner *r)
{
    r->runs++;
    r->ctx = aio_co_context(aio_co_self());
    r->current = aio_context_current();
    if (r->log) {
        co_note(r->log, r->name);
    }
}

static void run_twice(void *opaque)
{
    note_run(opaque);
    aio_co_yield();
    note_run(opaque);
}

static void run_once(void *opaque)
{
    note_run(opaque);
}

static Runner runner(AioCoroutineFunc *entry, Runner *r, CoLog *log, char name)
{
    return (Runner){.co = co_make(entry, r), .log = log, .name = name};
}

static void scheduled_ones_run_in_the_next_iteration_first_scheduled_first(AioContext *ctx)
{
    CoLog log = {""};
    Runner r[5];
    for (int i = 0; i < 5; i++) {
        r[i] = runner(run_once, &r[i], &log, (char)('a' + i));
        aio_co_schedule(ctx, r[i].co);
    }
    assert_string_equal(log.text, "");
    assert_true(drive(ctx, false));
    assert_string_equal(log.text, "abcde");
    for (int i = 0; i < 5; i++) {
        assert_ptr_equal(r[i].ctx, ctx);
        assert_ptr_equal(r[i].current, ctx);
    }
    assert_false(drive(ctx, false));
}

static void schedule_the_partner(void *opaque)
{
    Runner *r = opaque;
    note_run(r);
    aio_co_schedule(aio_co_context(r->co), r->partner->co);
    note_run(r);
}

static void what_a_scheduled_one_schedules_runs_in_the_iteration_after(AioContext *ctx)
{
    CoLog log = {""};
    Runner a, b, c;
    a = runner(schedule_the_partner, &a, &log, 'a');
    b = runner(run_once, &b, &log, 'b');
    c = runner(run_once, &c, &log, 'c');
    a.partner = &b;
    aio_co_schedule(ctx, a.co);
    aio_co_schedule(ctx, c.co);
    assert_true(drive(ctx, true));
    assert_string_equal(log.text, "aac");
    assert_true(drive(ctx, true));
    assert_string_equal(log.text, "aacb");
}

static void reschedule_and_count(void *opaque)
{
    Runner *r = opaque;
    for (int i = 0; i < 100; i++) {
        note_run(r);
        aio_co_schedule(r->ctx, r->co);
        aio_co_yield();
    }
}

static void one_that_schedules_itself_runs_once_an_iteration_and_counts_as_progress(AioContext *ctx)
{
    Runner r = runner(reschedule_and_count, &r, NULL, 'r');
    aio_co_schedule(ctx, r.co);
    for (int i = 1; i <= 100; i++) {
        assert_true(drive(ctx, i % 2));
        assert_int_equal(r.runs, i);
    }
    assert_true(drive(ctx, true)); /* it ends */
    assert_false(drive(ctx, false));
}

static void resumes_are_counted(AioContext *ctx)
{
    Runner r = runner(reschedule_and_count, &r, NULL, 'r');
    aio_co_schedule(ctx, r.co);
    while (drive(ctx, false)) {
        continue;
    }
    AioContextInfo info = {.size = sizeof(info)};
    aio_context_info(ctx, &info);
    assert_int_equal(info.counters.co_resumes, 101);
}

typedef struct Later {
    AioContext *ctx;
    AioCoroutine *co;
    void (*act)(struct Later *later);
} Later;

static void act_later(void *opaque)
{
    Later *later = opaque;
    fixture_sleep_ms(30);
    later->act(later);
}

static void schedule_it(Later *later)
{
    aio_co_schedule(later->ctx, later->co);
}

static void wake_it(Later *later)
{
    aio_co_wake(later->co);
}

static void enter_it(Later *later)
{
    aio_co_enter(later->ctx, later->co);
}

/* A plain thread, which has no context, acts on a coroutine of ours; then it runs here, not there. */
static void act_from_a_plain_thread(void (*act)(Later *later))
{
    AioContext *ctx = fixture_context();
    Runner r = runner(run_twice, &r, NULL, 'r');
    aio_context_bind(ctx);
    aio_co_enter(ctx, r.co);
    assert_int_equal(r.runs, 1);
    Later later = {.ctx = ctx, .co = r.co, .act = act};
    FixtureThread *thread = fixture_thread_start(act_later, &later);
    assert_true(drive(ctx, true)); /* blocks until then */
    fixture_thread_join(thread);
    assert_int_equal(r.runs, 2);
    assert_ptr_equal(r.ctx, ctx);
    assert_ptr_equal(r.current, ctx);
    fixture_context_free(ctx);
}

static void a_blocking_call_ends_when_a_plain_thread_schedules_one(void **state)
{
    (void)state;
    act_from_a_plain_thread(schedule_it);
}

static void woken_by_a_plain_thread_it_runs_in_its_own_context(void **state)
{
    (void)state;
    act_from_a_plain_thread(wake_it);
}

static void entered_by_a_plain_thread_it_runs_in_the_given_context(void **state)
{
    (void)state;
    act_from_a_plain_thread(enter_it);
}

/* Two contexts of one thread. */

static void a_wake_goes_to_the_context_that_it_ran_in_last(void **state)
{
    (void)state;
    AioContext *a = fixture_context(), *b = fixture_context();
    aio_context_bind(a);
    aio_context_bind(b);
    Runner r = runner(run_twice, &r, NULL, 'r');
    aio_co_schedule(b, r.co);
    assert_false(drive(a, false));
    assert_true(drive(b, false));
    assert_int_equal(r.runs, 1);
    assert_ptr_equal(r.ctx, b);
    aio_co_wake(r.co); /* a is the current one here */
    assert_ptr_equal(aio_context_current(), a);
    assert_false(drive(a, false));
    assert_int_equal(r.runs, 1);
    assert_true(drive(b, false));
    assert_int_equal(r.runs, 2);
    assert_ptr_equal(r.current, b);
    fixture_context_free(a);
    fixture_context_free(b);
}

static void enter_at_home_is_at_once(AioContext *ctx)
{
    Runner r = runner(run_twice, &r, NULL, 'r');
    aio_co_enter(ctx, r.co);
    assert_int_equal(r.runs, 1);
    assert_ptr_equal(r.ctx, ctx);
    aio_co_wake(r.co);
    assert_int_equal(r.runs, 2);
    assert_false(drive(ctx, false));
}

static void enter_the_partner(void *opaque)
{
    Runner *r = opaque;
    note_run(r);
    aio_co_enter(r->partner_ctx, r->partner->co);
    note_run(r);
    aio_co_yield();
    note_run(r);
}

static void enter_at_home_inside_a_coroutine_is_when_that_one_yields(AioContext *ctx)
{
    CoLog log = {""};
    Runner a, b;
    a = runner(enter_the_partner, &a, &log, 'a');
    b = runner(run_twice, &b, &log, 'b');
    a.partner = &b;
    a.partner_ctx = ctx;
    aio_co_enter(ctx, a.co);
    assert_string_equal(log.text, "aab");
    assert_ptr_equal(b.ctx, ctx);
    aio_co_enter(ctx, a.co);
    aio_co_enter(ctx, b.co);
    assert_string_equal(log.text, "aabab");
    assert_false(drive(ctx, false));
}

static void enter_elsewhere_schedules_it_there(void **state)
{
    (void)state;
    AioContext *here = fixture_context(), *there = fixture_context();
    aio_context_bind(here);
    CoLog log = {""};
    Runner a, b;
    a = runner(enter_the_partner, &a, &log, 'a');
    b = runner(run_once, &b, &log, 'b');
    a.partner = &b;
    a.partner_ctx = there;
    aio_co_enter(here, a.co);
    assert_string_equal(log.text, "aa");
    assert_true(drive(there, false));
    assert_string_equal(log.text, "aab");
    assert_ptr_equal(b.ctx, there);
    assert_ptr_equal(b.current, there);
    aio_co_wake(a.co);
    assert_string_equal(log.text, "aaba");
    fixture_context_free(here);
    fixture_context_free(there);
}

static void it_remembers_the_context_given_not_that_of_the_thread(AioContext *ctx)
{
    Runner r = runner(run_twice, &r, NULL, 'r');
    aio_co_enter(NULL, r.co);
    assert_int_equal(r.runs, 1);
    assert_null(r.ctx);
    assert_ptr_equal(r.current, ctx);
    aio_co_wake(r.co); /* to where it can be woken at all */
    assert_int_equal(r.runs, 2);
    assert_ptr_equal(r.ctx, ctx);
}

/* Every kind of callback is outside of coroutines: it enters at once. */

typedef struct Waker {
    Runner *runner;
    int seen; /* runs, right after the wake */
    AioContext *ctx;
    AioHandle handle;
} Waker;

static void wake_and_look(void *opaque)
{
    Waker *w = opaque;
    aio_co_wake(w->runner->co);
    w->seen = w->runner->runs;
}

static void wake_once_readable(void *opaque)
{
    Waker *w = opaque;
    aio_handler_remove(w->ctx, w->handle, fixture_pair_kind());
    wake_and_look(w);
}

static void completed(void *opaque, int64_t ret)
{
    (void)ret;
    wake_and_look(opaque);
}

static int no_work(void *opaque)
{
    (void)opaque;
    return 0;
}

static void yield_often(void *opaque)
{
    for (int i = 0; i < 5; i++) {
        note_run(opaque);
        aio_co_yield();
    }
}

static void callbacks_of_every_kind_enter_at_once(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    aio_context_bind(ctx);
    FixturePair pair = fixture_pair();
    Runner r = runner(yield_often, &r, NULL, 'r');
    Waker w = {.runner = &r, .ctx = ctx, .handle = pair.a};
    aio_co_enter(ctx, r.co);

    aio_bh_schedule_oneshot(ctx, wake_and_look, &w);
    assert_true(drive(ctx, true));
    assert_int_equal(w.seen, 2);

    AioTimer timer;
    aio_timer_init(ctx, &timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS, wake_and_look, &w);
    aio_timer_mod_ns(&timer, 1);
    assert_true(drive(ctx, true));
    assert_int_equal(w.seen, 3);
    aio_timer_deinit(&timer);

    AioHandlerOps ops = {.size = sizeof(ops), .read = wake_once_readable};
    assert_true(aio_handler_set(ctx, pair.a, fixture_pair_kind(), 0, &ops, &w, NULL));
    assert_int_equal(fixture_write(pair.b, "x", 1), 1);
    assert_true(drive(ctx, true));
    assert_int_equal(w.seen, 4);

    assert_non_null(
        aio_thread_pool_submit(aio_get_thread_pool(ctx), no_work, NULL, completed, &w, NULL));
    while (w.seen == 4) {
        drive(ctx, true);
    }
    assert_int_equal(w.seen, 5);

    aio_co_wake(r.co);
    fixture_pair_close(&pair);
    fixture_context_free(ctx);
}

/* Between what a coroutine started and its yield, another thread may wake it. */

typedef struct Early {
    AioContext *ctx;
    AioCoroutine *co;
    atomic_int step; /* 1: it may be woken; 2: it was */
    bool in_time;
    int runs;
} Early;

static void wait_for_the_wake_then_yield(void *opaque)
{
    Early *e = opaque;
    e->co = aio_co_self();
    atomic_store(&e->step, 1);
    e->in_time = co_await (&e->step, 2);
    e->runs++;
    aio_co_yield();
    e->runs++;
    aio_co_yield();
    e->runs++;
}

static void wake_early(void *opaque)
{
    Early *e = opaque;
    if (co_await (&e->step, 1)) {
        aio_co_wake(e->co);
    }
    atomic_store(&e->step, 2);
}

static void a_wake_from_another_thread_may_come_before_the_yield(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Early e = {.ctx = ctx};
    FixtureThread *thread = fixture_thread_start(wake_early, &e);
    aio_co_schedule(ctx, co_make(wait_for_the_wake_then_yield, &e));
    assert_true(drive(ctx, true));
    assert_true(e.in_time);
    assert_int_equal(e.runs, 1);
    assert_true(drive(ctx, true));
    assert_int_equal(e.runs, 2);
    assert_false(drive(ctx, false));
    assert_int_equal(e.runs, 2);
    aio_co_schedule(ctx, e.co);
    fixture_thread_join(thread);
    fixture_context_free(ctx);
    assert_int_equal(e.runs, 3);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(scheduled_ones_run_in_the_next_iteration_first_scheduled_first),
    cmocka_unit_test_home(what_a_scheduled_one_schedules_runs_in_the_iteration_after),
    cmocka_unit_test_home(one_that_schedules_itself_runs_once_an_iteration_and_counts_as_progress),
    cmocka_unit_test_home(resumes_are_counted),
    cmocka_unit_test(a_blocking_call_ends_when_a_plain_thread_schedules_one),
    cmocka_unit_test(woken_by_a_plain_thread_it_runs_in_its_own_context),
    cmocka_unit_test(entered_by_a_plain_thread_it_runs_in_the_given_context),
    cmocka_unit_test(a_wake_goes_to_the_context_that_it_ran_in_last),
    cmocka_unit_test_home(enter_at_home_is_at_once),
    cmocka_unit_test_home(enter_at_home_inside_a_coroutine_is_when_that_one_yields),
    cmocka_unit_test(enter_elsewhere_schedules_it_there),
    cmocka_unit_test_home(it_remembers_the_context_given_not_that_of_the_thread),
    cmocka_unit_test(callbacks_of_every_kind_enter_at_once),
    cmocka_unit_test(a_wake_from_another_thread_may_come_before_the_yield),
};
TEST_MAIN(tests)
