/*
 * Bottom halves: order, snapshots, cancelling, deletion, idle ones, nesting, guards, reports.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

/* A bottom half that counts its runs, and does what a test asks for in its callback. */
typedef struct Counter {
    AioContext *ctx;
    AioBh *bh;
    int runs;
    int reschedule; /* so many times, from the callback */
    AioBh *delete;  /* from the callback */
    AioBh *cancel;
    AioBh *schedule;
    bool nested; /* poll from the callback */
    int seen;    /* `runs` of another when this ran */
    struct Counter *look_at;
} Counter;

static void count(void *opaque)
{
    Counter *counter = opaque;
    counter->runs++;
    if (counter->look_at) {
        counter->seen = counter->look_at->runs;
    }
    if (counter->reschedule > 0) {
        counter->reschedule--;
        aio_bh_schedule(counter->bh);
    }
    if (counter->schedule) {
        aio_bh_schedule(counter->schedule);
    }
    if (counter->cancel) {
        aio_bh_cancel(counter->cancel);
    }
    if (counter->delete) {
        AioBh *bh = counter->delete;
        counter->delete = NULL;
        if (bh == counter->bh) {
            counter->bh = NULL;
        }
        aio_bh_delete(bh);
    }
    if (counter->nested) {
        counter->nested = false;
        while (drive(counter->ctx, false)) {
            continue;
        }
    }
}

static void counter_init(Counter *counter, AioContext *ctx)
{
    *counter = (Counter){.ctx = ctx};
    counter->bh = aio_bh_new(ctx, count, counter);
    assert_non_null(counter->bh);
}

static void counter_done(Counter *counter)
{
    if (counter->bh) {
        aio_bh_delete(counter->bh);
    }
}

static void new_bh_does_not_run(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a;
    counter_init(&a, ctx);
    assert_false(drive(ctx, false));
    assert_int_equal(a.runs, 0);
    counter_done(&a);
    fixture_context_free(ctx);
}

static void schedules_before_the_run_are_one_run(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a;
    counter_init(&a, ctx);
    for (int i = 0; i < 3; i++) {
        aio_bh_schedule(a.bh);
    }
    assert_true(drive(ctx, true));
    assert_int_equal(a.runs, 1);
    assert_false(drive(ctx, false));
    assert_int_equal(a.runs, 1);
    counter_done(&a);
    fixture_context_free(ctx);
}

static void bh_scheduled_by_itself_runs_once_an_iteration(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a;
    counter_init(&a, ctx);
    a.reschedule = 3;
    aio_bh_schedule(a.bh);
    for (int i = 1; i <= 4; i++) {
        assert_true(drive(ctx, true));
        assert_int_equal(a.runs, i);
        assert_int_equal(aio_compute_timeout(ctx), i < 4 ? 0 : -1);
    }
    assert_false(drive(ctx, false));
    counter_done(&a);
    fixture_context_free(ctx);
}

static void bh_scheduled_by_another_runs_in_the_next_iteration(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a, b;
    counter_init(&a, ctx);
    counter_init(&b, ctx);
    a.schedule = b.bh;
    aio_bh_schedule(a.bh);
    assert_true(drive(ctx, false));
    assert_int_equal(b.runs, 0);
    assert_true(drive(ctx, false));
    assert_int_equal(b.runs, 1);
    counter_done(&a);
    counter_done(&b);
    fixture_context_free(ctx);
}

typedef struct Order {
    int *log;
    int *used;
    int id;
} Order;

static void log_id(void *opaque)
{
    Order *order = opaque;
    order->log[(*order->used)++] = order->id;
}

static void bhs_run_in_the_order_scheduled(void **state)
{
    (void)state;
    enum { N = 100 };
    AioContext *ctx = fixture_context();
    int log[N], used = 0;
    Order orders[N];
    AioBh *bhs[N];
    for (int i = 0; i < N; i++) {
        orders[i] = (Order){.log = log, .used = &used, .id = i};
        bhs[i] = aio_bh_new(ctx, log_id, &orders[i]);
    }
    for (int i = 0; i < N; i++) {
        aio_bh_schedule(bhs[(i * 37) % N]);
    }
    assert_true(drive(ctx, false));
    assert_int_equal(used, N);
    for (int i = 0; i < N; i++) {
        assert_int_equal(log[i], (i * 37) % N);
        aio_bh_delete(bhs[i]);
    }
    fixture_context_free(ctx);
}

static void cancelled_bh_does_not_run_until_scheduled_again(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a;
    counter_init(&a, ctx);
    aio_bh_schedule(a.bh);
    aio_bh_cancel(a.bh);
    assert_false(drive(ctx, false));
    assert_int_equal(a.runs, 0);
    aio_bh_schedule(a.bh);
    aio_bh_cancel(a.bh);
    aio_bh_schedule(a.bh);
    assert_true(drive(ctx, false));
    assert_int_equal(a.runs, 1);
    counter_done(&a);
    fixture_context_free(ctx);
}

static void deleted_bh_does_not_run_and_is_no_progress(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a;
    counter_init(&a, ctx);
    aio_bh_schedule(a.bh);
    counter_done(&a);
    assert_false(drive(ctx, false));
    assert_int_equal(a.runs, 0);
    fixture_context_free(ctx);
}

static void deletion_is_not_undone_by_cancel(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    AioBh *bh = aio_bh_new(ctx, count, NULL);
    aio_bh_delete(bh);
    aio_bh_cancel(bh); /* not freed yet: nothing ran */
    assert_false(drive(ctx, false));
    fixture_context_free(ctx); /* a leak would be named */
}

static void bh_deletes_itself_after_it_was_rescheduled(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a;
    counter_init(&a, ctx);
    a.reschedule = 1;
    a.delete = a.bh;
    aio_bh_schedule(a.bh);
    assert_true(drive(ctx, true));
    assert_int_equal(a.runs, 1);
    assert_false(drive(ctx, false));
    assert_int_equal(a.runs, 1);
    fixture_context_free(ctx);
}

static void deletion_wakes_a_host_for_one_iteration(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a;
    counter_init(&a, ctx);
    a.delete = a.bh;
    aio_bh_schedule(a.bh);
    assert_true(aio_prepare(ctx));
    aio_dispatch(ctx);
    assert_int_equal(a.runs, 1);
    assert_true(aio_prepare(ctx));
    aio_dispatch(ctx);
    assert_false(aio_prepare(ctx));
    assert_false(aio_pending(ctx));
    aio_dispatch(ctx);
    fixture_context_free(ctx);
}

static void bh_deleted_by_one_before_it_does_not_run(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a, b;
    counter_init(&a, ctx);
    counter_init(&b, ctx);
    a.delete = b.bh;
    aio_bh_schedule(a.bh);
    aio_bh_schedule(b.bh);
    assert_true(drive(ctx, true));
    assert_int_equal(a.runs, 1);
    assert_int_equal(b.runs, 0);
    counter_done(&a);
    fixture_context_free(ctx);
}

static void deletes_are_many_and_in_any_order(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter c[4];
    for (int i = 0; i < 4; i++) {
        counter_init(&c[i], ctx);
        aio_bh_schedule(c[i].bh);
    }
    c[1].delete = c[1].bh;
    c[2].delete = c[3].bh;
    c[3].bh = NULL;
    assert_true(drive(ctx, true));
    assert_int_equal(c[0].runs + c[1].runs + c[2].runs, 3);
    assert_int_equal(c[3].runs, 0);
    assert_false(drive(ctx, false));
    counter_done(&c[0]);
    counter_done(&c[2]);
    fixture_context_free(ctx);
}

static void oneshot_runs_once_and_frees_itself(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a = {.ctx = ctx};
    aio_bh_schedule_oneshot(ctx, count, &a);
    assert_true(aio_bh_oneshot(ctx, count, &a, "named", NULL));
    assert_true(drive(ctx, true));
    assert_int_equal(a.runs, 2);
    assert_false(drive(ctx, false));
    fixture_context_free(ctx);
}

static void call_runs_it_and_changes_no_state(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a;
    counter_init(&a, ctx);
    aio_bh_call(a.bh);
    assert_int_equal(a.runs, 1);
    assert_false(drive(ctx, false));
    aio_bh_schedule(a.bh);
    a.delete = a.bh; /* the callback may delete it */
    AioBh *bh = a.bh;
    aio_bh_call(bh);
    assert_int_equal(a.runs, 2);
    assert_false(drive(ctx, false));
    assert_int_equal(a.runs, 2);
    fixture_context_free(ctx);
}

static void bh_poll_returns_whether_one_ran(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a;
    counter_init(&a, ctx);
    aio_context_bind(ctx);
    assert_int_equal(aio_bh_poll(ctx), 0);
    aio_bh_schedule(a.bh);
    assert_int_equal(aio_bh_poll(ctx), 1);
    assert_int_equal(aio_bh_poll(ctx), 0);
    counter_done(&a);
    fixture_context_free(ctx);
}

static void nested_poll_runs_the_rest_of_the_slice(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a, b, c;
    counter_init(&a, ctx);
    counter_init(&b, ctx);
    counter_init(&c, ctx);
    a.nested = true;
    a.schedule = c.bh;
    aio_bh_schedule(a.bh);
    aio_bh_schedule(b.bh);
    c.look_at = &b;
    assert_true(drive(ctx, true));
    assert_int_equal(b.runs, 1);
    assert_int_equal(c.runs, 1);
    assert_int_equal(c.seen, 1); /* the outer slice first */
    assert_false(drive(ctx, false));
    assert_int_equal(a.runs + b.runs + c.runs, 3);
    counter_done(&a);
    counter_done(&b);
    counter_done(&c);
    fixture_context_free(ctx);
}

static void idle_bh_runs_without_progress_and_without_spinning(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a;
    counter_init(&a, ctx);
    aio_context_bind(ctx);
    aio_bh_schedule_idle(a.bh);
    assert_int_equal(aio_compute_timeout(ctx), 10000000);
    int64_t start = fixture_now_ns();
    assert_false(drive(ctx, true));
    assert_int_equal(a.runs, 1);
    assert_true(fixture_now_ns() - start >= 10000000);
    assert_int_equal(aio_compute_timeout(ctx), -1);
    counter_done(&a);
    fixture_context_free(ctx);
}

static void again_idle(void *opaque)
{
    Counter *counter = opaque;
    counter->runs++;
    aio_bh_schedule_idle(counter->bh);
}

static void idle_bh_that_reschedules_itself_costs_no_cpu(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a = {.ctx = ctx};
    a.bh = aio_bh_new(ctx, again_idle, &a);
    aio_context_bind(ctx);
    aio_bh_schedule_idle(a.bh);
    int64_t start = fixture_now_ns(), cpu = fixture_cpu_ns();
    while (fixture_now_ns() - start < 300000000) {
        assert_false(drive(ctx, true));
    }
    assert_in_range(a.runs, 1, 31);
    assert_true(fixture_cpu_ns() - cpu < 150000000);
    counter_done(&a);
    fixture_context_free(ctx);
}

static void normal_schedule_upgrades_an_idle_one(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a;
    counter_init(&a, ctx);
    aio_context_bind(ctx);
    aio_bh_schedule_idle(a.bh);
    aio_bh_schedule(a.bh);
    assert_int_equal(aio_compute_timeout(ctx), 0);
    assert_true(drive(ctx, true));
    assert_int_equal(a.runs, 1);
    assert_int_equal(aio_compute_timeout(ctx), -1);
    counter_done(&a);
    fixture_context_free(ctx);
}

static void idle_schedule_from_another_thread(void *opaque)
{
    Counter *counter = opaque;
    fixture_sleep_ms(20);
    aio_bh_schedule_idle(counter->bh);
}

static void idle_bh_from_another_thread_ends_an_endless_wait(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a;
    counter_init(&a, ctx);
    FixtureThread *thread = fixture_thread_start(idle_schedule_from_another_thread, &a);
    assert_false(drive(ctx, true));
    assert_int_equal(a.runs, 1);
    fixture_thread_join(thread);
    counter_done(&a);
    fixture_context_free(ctx);
}

typedef struct Mailbox {
    AioBh *bh;
    atomic_bool stop;
    int posted; /* plain: the bottom half's ordering must make it visible */
    atomic_int taken;
    int last;
    bool backwards;
} Mailbox;

static void take_mail(void *opaque)
{
    Mailbox *box = opaque;
    box->backwards |= box->posted < box->last;
    box->last = box->posted;
    atomic_store(&box->taken, box->last);
}

static void post_mail(void *opaque)
{
    Mailbox *box = opaque;
    for (int i = 1; !atomic_load(&box->stop); i++) {
        box->posted = i;
        aio_bh_schedule(box->bh);
        while (atomic_load(&box->taken) != i && !atomic_load(&box->stop)) {
            fixture_yield();
        }
    }
}

/* The next letter is written only after the last was seen, so a lost wake-up or a stale read shows. */
static void hammer(int rounds)
{
    AioContext *ctx = fixture_context();
    Mailbox box = {.posted = 0};
    box.bh = aio_bh_new(ctx, take_mail, &box);
    FixtureThread *thread = fixture_thread_start(post_mail, &box);
    int64_t end = fixture_now_ns() + 2000000000 * (int64_t)fixture_long();
    while (box.last < rounds * (int)fixture_long() && fixture_now_ns() < end) {
        int64_t start = fixture_now_ns();
        drive(ctx, true);
        assert_true(fixture_now_ns() - start < 5000000000);
    }
    atomic_store(&box.stop, true);
    fixture_thread_join(thread);
    assert_false(box.backwards);
    assert_true(box.last > 0);
    aio_bh_delete(box.bh);
    fixture_context_free(ctx);
}

static void no_wake_up_is_lost_on_two_cores(void **state)
{
    (void)state;
    hammer(100000);
}

static void no_wake_up_is_lost_on_one_core(void **state)
{
    (void)state;
    if (!fixture_pin(0)) {
        fixture_skip("threads can't be pinned here");
    }
    hammer(100000);
    fixture_pin(-1);
}

typedef struct Producer {
    AioContext *ctx;
    AioBh *bh;
    atomic_int *produced;
    int count;
} Producer;

typedef struct Consumer {
    atomic_int produced;
    int seen;
    int runs;
} Consumer;

static void consume(void *opaque)
{
    Consumer *consumer = opaque;
    consumer->runs++;
    consumer->seen = atomic_load_explicit(&consumer->produced, memory_order_relaxed);
}

static void produce(void *opaque)
{
    Producer *producer = opaque;
    for (int i = 0; i < producer->count; i++) {
        atomic_fetch_add_explicit(producer->produced, 1, memory_order_relaxed);
        aio_bh_schedule(producer->bh);
    }
}

static void many_threads_schedule_one_bh_and_the_last_value_is_seen(void **state)
{
    (void)state;
    enum { THREADS = 4, EACH = 20000 };
    AioContext *ctx = fixture_context();
    Consumer consumer = {.seen = 0};
    AioBh *bh = aio_bh_new(ctx, consume, &consumer);
    Producer producer = {.ctx = ctx, .bh = bh, .produced = &consumer.produced, .count = EACH};
    FixtureThread *threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        threads[i] = fixture_thread_start(produce, &producer);
    }
    while (consumer.seen < THREADS * EACH) {
        int64_t start = fixture_now_ns();
        drive(ctx, true);
        assert_true(fixture_now_ns() - start < 5000000000);
    }
    for (int i = 0; i < THREADS; i++) {
        fixture_thread_join(threads[i]);
    }
    aio_bh_delete(bh);
    fixture_context_free(ctx);
}

static void add_one(void *opaque)
{
    ++*(int *)opaque;
}

typedef struct OneshotProducer {
    AioContext *ctx;
    int *sum;
    int count;
} OneshotProducer;

static void produce_oneshots(void *opaque)
{
    OneshotProducer *producer = opaque;
    for (int i = 0; i < producer->count; i++) {
        aio_bh_schedule_oneshot(producer->ctx, add_one, producer->sum);
    }
}

static void oneshots_of_many_threads_all_run(void **state)
{
    (void)state;
    enum { THREADS = 3, EACH = 10000 };
    AioContext *ctx = fixture_context();
    int sum = 0;
    OneshotProducer producer = {.ctx = ctx, .sum = &sum, .count = EACH};
    FixtureThread *threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        threads[i] = fixture_thread_start(produce_oneshots, &producer);
    }
    while (sum < THREADS * EACH) {
        drive(ctx, true);
    }
    for (int i = 0; i < THREADS; i++) {
        fixture_thread_join(threads[i]);
    }
    assert_int_equal(sum, THREADS * EACH);
    fixture_context_free(ctx);
}

static void schedule_in_signal_handler(void *opaque)
{
    Producer *producer = opaque;
    atomic_fetch_add_explicit(producer->produced, 1, memory_order_relaxed);
    aio_bh_schedule(producer->bh);
}

static void schedules_of_a_signal_handler_wake_the_loop(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Consumer consumer = {.seen = 0};
    Producer producer = {.ctx = ctx, .produced = &consumer.produced};
    producer.bh = aio_bh_new(ctx, consume, &consumer);
    aio_context_bind(ctx);
    if (!fixture_signal_start(schedule_in_signal_handler, &producer, 500)) {
        fixture_skip("no such signals here");
    }
    for (int i = 0; i < 200; i++) {
        int64_t start = fixture_now_ns();
        drive(ctx, true);
        assert_true(fixture_now_ns() - start < 2000000000);
    }
    fixture_signal_stop();
    while (drive(ctx, false)) {
        continue;
    }
    assert_int_equal(consumer.seen, atomic_load(&consumer.produced));
    aio_bh_delete(producer.bh);
    fixture_context_free(ctx);
}

static void engaged_guard_keeps_a_bh_from_running_and_reports_it(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    AioBhGuard guard = {.engaged = false};
    Counter a = {.ctx = ctx, .nested = true}, b = {.ctx = ctx};
    a.bh = aio_bh_new_full(ctx, count, &a, "dma", &guard, NULL);
    b.bh = aio_bh_new_full(ctx, count, &b, "mmio", &guard, NULL);
    aio_bh_schedule(a.bh);
    aio_bh_schedule(b.bh);
    assert_true(drive(ctx, false));
    assert_int_equal(a.runs, 1);
    assert_int_equal(b.runs, 0);
    AioError *error = aio_context_take_error(ctx);
    assert_non_null(error);
    assert_non_null(strstr(aio_error_message(error), "mmio"));
    aio_error_free(error);
    aio_bh_schedule(b.bh);
    assert_true(drive(ctx, false));
    assert_int_equal(b.runs, 1);
    counter_done(&a);
    counter_done(&b);
    fixture_context_free(ctx);
}

static void leak_a_bh(void *opaque)
{
    (void)opaque;
    AioContext *ctx = fixture_context();
    aio_bh_new_full(ctx, count, NULL, "forgotten", NULL, NULL);
    aio_context_unref(ctx);
}

static void leak_a_pending_bh(void *opaque)
{
    (void)opaque;
    AioContext *ctx = fixture_context();
    aio_bh_oneshot(ctx, count, NULL, "pending", NULL);
    aio_context_unref(ctx);
}

static void leaked_bh_is_named_at_the_end(void **state)
{
    (void)state;
    assert_true(fixture_dies(leak_a_bh, NULL, "forgotten"));
    assert_true(fixture_dies(leak_a_pending_bh, NULL, "pending"));
}

static void deleted_bh_is_freed_with_the_context(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    aio_bh_delete(aio_bh_new(ctx, count, NULL));
    aio_context_unref(ctx); /* LeakSanitizer looks */
}

typedef struct LastRef {
    AioContext *ctx;
    AioBh *bh;
} LastRef;

static void drop_last_reference(void *opaque)
{
    LastRef *last = opaque;
    aio_bh_delete(last->bh);
    aio_context_unref(last->ctx);
}

static void schedule_last(void *opaque)
{
    LastRef *last = opaque;
    aio_bh_schedule(last->bh);
}

static void context_outlives_a_schedule_that_ends_it(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2000 * fixture_long(); i++) {
        LastRef last = {.ctx = fixture_context()};
        last.bh = aio_bh_new(last.ctx, drop_last_reference, &last);
        FixtureThread *thread = fixture_thread_start(schedule_last, &last);
        drive(last.ctx, true);
        fixture_thread_join(thread);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(new_bh_does_not_run),
    cmocka_unit_test(schedules_before_the_run_are_one_run),
    cmocka_unit_test(bh_scheduled_by_itself_runs_once_an_iteration),
    cmocka_unit_test(bh_scheduled_by_another_runs_in_the_next_iteration),
    cmocka_unit_test(bhs_run_in_the_order_scheduled),
    cmocka_unit_test(cancelled_bh_does_not_run_until_scheduled_again),
    cmocka_unit_test(deleted_bh_does_not_run_and_is_no_progress),
    cmocka_unit_test(deletion_is_not_undone_by_cancel),
    cmocka_unit_test(bh_deletes_itself_after_it_was_rescheduled),
    cmocka_unit_test(deletion_wakes_a_host_for_one_iteration),
    cmocka_unit_test(bh_deleted_by_one_before_it_does_not_run),
    cmocka_unit_test(deletes_are_many_and_in_any_order),
    cmocka_unit_test(oneshot_runs_once_and_frees_itself),
    cmocka_unit_test(call_runs_it_and_changes_no_state),
    cmocka_unit_test(bh_poll_returns_whether_one_ran),
    cmocka_unit_test(nested_poll_runs_the_rest_of_the_slice),
    cmocka_unit_test(idle_bh_runs_without_progress_and_without_spinning),
    cmocka_unit_test(idle_bh_that_reschedules_itself_costs_no_cpu),
    cmocka_unit_test(normal_schedule_upgrades_an_idle_one),
    cmocka_unit_test(idle_bh_from_another_thread_ends_an_endless_wait),
    cmocka_unit_test(no_wake_up_is_lost_on_two_cores),
    cmocka_unit_test(no_wake_up_is_lost_on_one_core),
    cmocka_unit_test(many_threads_schedule_one_bh_and_the_last_value_is_seen),
    cmocka_unit_test(oneshots_of_many_threads_all_run),
    cmocka_unit_test(schedules_of_a_signal_handler_wake_the_loop),
    cmocka_unit_test(engaged_guard_keeps_a_bh_from_running_and_reports_it),
    cmocka_unit_test(leaked_bh_is_named_at_the_end),
    cmocka_unit_test(deleted_bh_is_freed_with_the_context),
    cmocka_unit_test(context_outlives_a_schedule_that_ends_it),
};
TEST_MAIN(tests)
