/*
 * Adaptive busy-polling: what ends it, and iterations nested in its callbacks.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/busy_source.h"

static void bh_scheduled_in_a_look_ends_it_without_a_system_call(AioContext *ctx)
{
    Source source;
    int calls = 0;
    source_init(&source, ctx);
    fix_window(ctx, 10 * SECOND);
    AioBh *bh = aio_bh_new(ctx, count, &calls);
    source.schedule = bh;
    assert_true(aio_poll(ctx, true));
    assert_int_equal(source.looks, 1);
    assert_int_equal(calls, 1);
    AioContextCounters counters = counters_of(ctx);
    assert_int_equal(counters.waits, 0);
    assert_int_equal(counters.notifier_writes, 0);
    aio_bh_delete(bh);
    source_done(&source);
}

static void deadline_ends_it_without_a_system_call(AioContext *ctx)
{
    Source source;
    AioTimer timer;
    int calls = 0;
    source_init(&source, ctx);
    fix_window(ctx, 10 * SECOND);
    aio_timer_init(ctx, &timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS, count, &calls);
    int64_t deadline = aio_clock_get_ns(AIO_CLOCK_REALTIME) + 3000000;
    aio_timer_mod(&timer, deadline);
    assert_true(aio_poll(ctx, true));
    assert_true(aio_clock_get_ns(AIO_CLOCK_REALTIME) >= deadline);
    assert_int_equal(calls, 1);
    assert_true(source.looks > 1);
    assert_int_equal(counters_of(ctx).waits, 0);
    source_done(&source);
}

typedef struct Worker {
    AioContext *ctx;
    AioBh *bh;
    AioTimer timer;
    atomic_int looks; /* of the source */
    atomic_bool found;
    int64_t scheduled_at;
    int64_t ran_at;
} Worker;

static void note_time(void *opaque)
{
    Worker *worker = opaque;
    worker->ran_at = fixture_now_ns();
}

static bool count_looks(void *opaque)
{
    Worker *worker = opaque;
    atomic_fetch_add(&worker->looks, 1);
    return atomic_exchange(&worker->found, false);
}

static void wait_for_looks(Worker *worker, int looks)
{
    while (atomic_load(&worker->looks) < looks) {
        fixture_yield();
    }
}

static void schedule_when_it_looks(void *opaque)
{
    Worker *worker = opaque;
    wait_for_looks(worker, 10);
    worker->scheduled_at = fixture_now_ns();
    aio_bh_schedule(worker->bh);
}

static void worker_init(Worker *worker, AioContext *ctx, AioHandle handle)
{
    *worker = (Worker){.ctx = ctx};
    aio_context_bind(ctx);
    worker->bh = aio_bh_new(ctx, note_time, worker);
    aio_timer_init(ctx, &worker->timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS, note_time, worker);
    aio_set_fd_handler(ctx, (int)handle, false, NULL, NULL, count_looks, worker);
}

static void worker_done(Worker *worker, AioHandle handle)
{
    aio_timer_del(&worker->timer);
    aio_bh_delete(worker->bh);
    aio_set_fd_handler(worker->ctx, (int)handle, false, NULL, NULL, NULL, NULL);
}

static void bh_of_another_thread_ends_it_at_once_without_system_calls(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    FixturePair pair = fixture_pair();
    Worker worker;
    worker_init(&worker, ctx, pair.a);
    fix_window(ctx, 10 * SECOND);
    FixtureThread *thread = fixture_thread_start(schedule_when_it_looks, &worker);
    assert_true(aio_poll(ctx, true));
    fixture_thread_join(thread);
    assert_true(worker.ran_at - worker.scheduled_at < SECOND); /* not the window's end */
    AioContextCounters counters = counters_of(ctx);
    assert_int_equal(counters.waits, 0);
    assert_int_equal(counters.notifier_writes, 0);
    worker_done(&worker, pair.a);
    fixture_pair_close(&pair);
    fixture_context_free(ctx);
}

static void arm_when_it_looks(void *opaque)
{
    Worker *worker = opaque;
    wait_for_looks(worker, 10);
    aio_timer_mod(&worker->timer, INT64_MAX); /* the earliest, so the loop is kicked */
    wait_for_looks(worker, atomic_load(&worker->looks) + 10);
    atomic_store(&worker->found, true);
}

static void change_by_another_thread_is_noticed_and_polling_goes_on(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    FixturePair pair = fixture_pair();
    Worker worker;
    worker_init(&worker, ctx, pair.a);
    fix_window(ctx, 10 * SECOND);
    FixtureThread *thread = fixture_thread_start(arm_when_it_looks, &worker);
    assert_true(aio_poll(ctx, true));
    fixture_thread_join(thread);
    AioContextCounters counters = counters_of(ctx);
    assert_int_equal(counters.waits, 0);
    assert_int_equal(counters.notifier_writes, 0);
    worker_done(&worker, pair.a);
    fixture_pair_close(&pair);
    fixture_context_free(ctx);
}

static void arm_early_when_it_looks(void *opaque)
{
    Worker *worker = opaque;
    wait_for_looks(worker, 10);
    aio_timer_mod(&worker->timer, aio_clock_get_ns(AIO_CLOCK_REALTIME) + 2000000);
    worker->scheduled_at = fixture_now_ns();
}

static void timer_armed_by_another_thread_while_it_looks_is_in_time(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    FixturePair pair = fixture_pair();
    Worker worker;
    worker_init(&worker, ctx, pair.a);
    fix_window(ctx, 10 * SECOND);
    FixtureThread *thread = fixture_thread_start(arm_early_when_it_looks, &worker);
    assert_true(aio_poll(ctx, true));
    fixture_thread_join(thread);
    assert_true(worker.ran_at - worker.scheduled_at < 5 * SECOND);
    assert_int_equal(counters_of(ctx).waits, 0);
    worker_done(&worker, pair.a);
    fixture_pair_close(&pair);
    fixture_context_free(ctx);
}

/* Nesting. */

static void source_that_is_always_ready_is_not_entered_twice(AioContext *ctx)
{
    Source source;
    source_init(&source, ctx);
    fix_window(ctx, 1000);
    source.find_at = 1;
    source.nest = true;
    for (int i = 0; i < 5; i++) {
        assert_true(aio_poll(ctx, true));
    }
    assert_in_range(source.deepest, 1, 2);
    assert_in_range(source.ready_calls, 5, 10);
    source_done(&source);
}

static void on_other_ready(void *opaque)
{
    note(opaque, 'X');
}

static void replace_in_look(Source *source)
{
    source->at_look = NULL;
    AioHandlerOps ops = source_ops;
    ops.poll_ready = on_other_ready;
    watch(source, &ops);
}

static void source_replaced_by_its_look_is_not_told_what_the_old_one_found(AioContext *ctx)
{
    Source source;
    source_init(&source, ctx);
    fix_window(ctx, 10 * SECOND);
    source.find_at = 1;
    source.find = 1;
    source.at_look = replace_in_look;
    aio_poll(ctx, true);
    assert_string_equal(source.log, "bp");
    source.find = 1;
    assert_true(aio_poll(ctx, true));
    assert_string_equal(source.log, "bpbpX");
    source_done(&source);
}

typedef struct Arming {
    AioTimer timer;
    AioBh *bh;
    int calls;
} Arming;

static void arm_timer(void *opaque)
{
    Arming *arming = opaque;
    aio_timer_mod(&arming->timer, aio_clock_get_ns(AIO_CLOCK_REALTIME) + 20000000);
}

/* The first nested iteration arms a timer, the second swallows the wake-up that it caused. */
static void arm_nested(Source *source)
{
    Arming *arming = source->opaque;
    aio_bh_schedule(arming->bh);
    aio_poll(source->ctx, false);
    aio_poll(source->ctx, false);
}

static void timer_armed_while_polling_is_left_is_not_forgotten(AioContext *ctx)
{
    Source source;
    source_init(&source, ctx);
    fix_window(ctx, 1000);
    Arming arming = {.calls = 0};
    aio_timer_init(ctx, &arming.timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS, count, &arming.calls);
    arming.bh = aio_bh_new(ctx, arm_timer, &arming);
    source.at_end = arm_nested;
    source.opaque = &arming;
    assert_true(aio_poll(ctx, true));
    assert_int_equal(arming.calls, 1);
    aio_bh_delete(arming.bh);
    source_done(&source);
}

/* In a look, too: the window does not outlast the deadline. */
static void arm_nested_in_look(Source *source)
{
    source->at_look = NULL;
    arm_nested(source);
}

static void arm_in_look(Source *source)
{
    source->at_look = NULL;
    arm_timer(source->opaque);
}

static void timer_armed_in_a_look_is_in_time(AioContext *ctx)
{
    Source source;
    source_init(&source, ctx);
    fix_window(ctx, 30 * SECOND);
    Arming arming = {.calls = 0};
    aio_timer_init(ctx, &arming.timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS, count, &arming.calls);
    source.at_look = arm_in_look;
    source.opaque = &arming;
    int64_t start = fixture_now_ns();
    assert_true(aio_poll(ctx, true));
    assert_int_equal(arming.calls, 1);
    assert_true(fixture_now_ns() - start < 10 * SECOND);
    assert_int_equal(counters_of(ctx).notifier_writes, 0);
    source_done(&source);
}

static void timer_armed_by_a_nested_iteration_in_a_look_is_in_time(AioContext *ctx)
{
    Source source;
    source_init(&source, ctx);
    fix_window(ctx, 30 * SECOND);
    Arming arming = {.calls = 0};
    aio_timer_init(ctx, &arming.timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS, count, &arming.calls);
    arming.bh = aio_bh_new(ctx, arm_timer, &arming);
    source.at_look = arm_nested_in_look;
    source.opaque = &arming;
    int64_t start = fixture_now_ns();
    assert_true(aio_poll(ctx, true));
    assert_int_equal(arming.calls, 1);
    assert_true(fixture_now_ns() - start < 10 * SECOND);
    aio_bh_delete(arming.bh);
    source_done(&source);
}

static void write_to_itself(Source *source)
{
    if (strchr(source->log, 'e')) {
        fixture_write(source->pair.b, "?", 1);
        source->at_look = NULL;
    }
}

static void poll_nested(Source *source)
{
    Source *other = source->opaque;
    other->find_at = 1;
    other->find = 1;
    aio_poll(source->ctx, true); /* busy-polls, so this source is begun anew */
    source->at_look = write_to_itself;
}

static void source_begun_by_a_nested_iteration_in_an_end_is_ended_before_the_sleep(AioContext *ctx)
{
    Source source, other;
    source_init(&source, ctx);
    source_init(&other, ctx);
    fix_window(ctx, 100000);
    source.at_end = poll_nested;
    source.opaque = &other;
    assert_true(aio_poll(ctx, true));
    assert_string_equal(source.log, "bpebpepr");
    source_done(&source);
    source_done(&other);
}

typedef struct Bell {
    AioNotifier notifier;
    char log[16]; /* as that of a Source */
    int looks;
    int find_at; /* 0: never */
} Bell;

static void bell_note(AioNotifier *notifier, char what)
{
    Bell *bell = (Bell *)(void *)notifier; /* its first member */
    size_t used = strlen(bell->log);
    if (used < sizeof(bell->log) - 1 && (used == 0 || bell->log[used - 1] != what)) {
        bell->log[used] = what;
    }
}

static void bell_begin(AioNotifier *notifier)
{
    bell_note(notifier, 'b');
}

static void bell_end(AioNotifier *notifier)
{
    bell_note(notifier, 'e');
    aio_notifier_set(notifier); /* it tells by itself again */
}

static void bell_read(AioNotifier *notifier)
{
    bell_note(notifier, 'r');
    aio_notifier_test_and_clear(notifier);
}

static bool bell_poll(void *opaque)
{
    Bell *bell = opaque;
    bell_note(&bell->notifier, 'p');
    return ++bell->looks == bell->find_at;
}

static void brackets_of_a_notifier_get_the_notifier(AioContext *ctx)
{
    Bell bell = {.find_at = 3};
    assert_int_equal(aio_notifier_init(&bell.notifier, false), 0);
    aio_set_event_notifier_poll(ctx, &bell.notifier, bell_begin, bell_end); /* not registered yet */
    aio_set_event_notifier(ctx, &bell.notifier, false, bell_read, bell_poll);
    fix_window(ctx, 10 * SECOND);
    assert_true(aio_poll(ctx, true));
    assert_string_equal(bell.log, "p");
    aio_set_event_notifier(ctx, &bell.notifier, false, bell_read, bell_poll);
    aio_set_event_notifier_poll(ctx, &bell.notifier, bell_begin, bell_end);
    bell = (Bell){.notifier = bell.notifier, .find_at = 3};
    assert_true(aio_poll(ctx, true));
    assert_string_equal(bell.log, "bp");
    fix_window(ctx, 1000);
    assert_true(aio_poll(ctx, true)); /* sleeps, and is told */
    assert_string_equal(bell.log, "bpepr");
    aio_set_event_notifier(ctx, &bell.notifier, false, bell_read, bell_poll); /* clears them */
    bell = (Bell){.notifier = bell.notifier, .find_at = 3};
    fix_window(ctx, 10 * SECOND);
    assert_true(aio_poll(ctx, true));
    assert_string_equal(bell.log, "p");
    aio_set_event_notifier(ctx, &bell.notifier, false, NULL, NULL);
    aio_notifier_cleanup(&bell.notifier);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(bh_scheduled_in_a_look_ends_it_without_a_system_call),
    cmocka_unit_test_home(deadline_ends_it_without_a_system_call),
    cmocka_unit_test(bh_of_another_thread_ends_it_at_once_without_system_calls),
    cmocka_unit_test(change_by_another_thread_is_noticed_and_polling_goes_on),
    cmocka_unit_test(timer_armed_by_another_thread_while_it_looks_is_in_time),
    cmocka_unit_test_home(source_that_is_always_ready_is_not_entered_twice),
    cmocka_unit_test_home(source_replaced_by_its_look_is_not_told_what_the_old_one_found),
    cmocka_unit_test_home(timer_armed_while_polling_is_left_is_not_forgotten),
    cmocka_unit_test_home(timer_armed_in_a_look_is_in_time),
    cmocka_unit_test_home(timer_armed_by_a_nested_iteration_in_a_look_is_in_time),
    cmocka_unit_test_home(source_begun_by_a_nested_iteration_in_an_end_is_ended_before_the_sleep),
    cmocka_unit_test_home(brackets_of_a_notifier_get_the_notifier),
};
TEST_MAIN(tests)
