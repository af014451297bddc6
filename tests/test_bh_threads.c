/*
 * Bottom halves scheduled by other threads and by signal handlers: none is lost, and each brings its memory.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/bh_help.h"

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
    cmocka_unit_test(idle_bh_from_another_thread_ends_an_endless_wait),
    cmocka_unit_test(no_wake_up_is_lost_on_two_cores),
    cmocka_unit_test(no_wake_up_is_lost_on_one_core),
    cmocka_unit_test(many_threads_schedule_one_bh_and_the_last_value_is_seen),
    cmocka_unit_test(oneshots_of_many_threads_all_run),
    cmocka_unit_test(schedules_of_a_signal_handler_wake_the_loop),
    cmocka_unit_test(context_outlives_a_schedule_that_ends_it),
};
TEST_MAIN(tests)
