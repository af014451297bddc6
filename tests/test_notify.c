/*
 * Wake-ups: remembered, not lost, and no dearer than needed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

#include <errno.h>

#include "core/context.h"

#define SECOND INT64_C(1000000000)

static AioContextCounters counters_of(AioContext *ctx)
{
    AioContextInfo info = {.size = sizeof(info)};
    aio_context_info(ctx, &info);
    return info.counters;
}

static void count(void *opaque)
{
    ++*(int *)opaque;
}

/* A timer that ends a wait which nothing else should end. */
typedef struct Deadline {
    AioTimer timer;
    int calls;
} Deadline;

static void deadline_init(Deadline *deadline, AioContext *ctx)
{
    *deadline = (Deadline){.calls = 0};
    aio_context_bind(ctx);
    aio_timer_init(ctx, &deadline->timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS, count,
                   &deadline->calls);
}

/* Whether a blocking call sleeps until then. */
static bool sleeps(AioContext *ctx, Deadline *deadline)
{
    uint64_t sleeps_before = counters_of(ctx).sleeps;
    int calls = deadline->calls;
    aio_timer_mod(&deadline->timer, aio_clock_get_ns(AIO_CLOCK_REALTIME) + 5000000);
    bool progress = drive(ctx, true);
    return progress && deadline->calls == calls + 1 && counters_of(ctx).sleeps > sleeps_before;
}

static void notify_before_a_blocking_call_is_remembered(AioContext *ctx)
{
    Deadline deadline;
    deadline_init(&deadline, ctx);
    aio_context_unbind(ctx);
    for (int i = 0; i < 5; i++) {
        aio_notify(ctx); /* however many, with nobody at home */
    }
    assert_false(drive(ctx, true));
    assert_int_equal(counters_of(ctx).sleeps, 0);
    assert_true(sleeps(ctx, &deadline)); /* but once */
    assert_int_equal(counters_of(ctx).notifier_writes, 0);
}

static void notify_alone_is_no_progress_and_no_endless_loop(AioContext *ctx)
{
    Deadline deadline;
    deadline_init(&deadline, ctx);
    aio_notify(ctx);
    assert_false(drive(ctx, false)); /* takes note of it */
    assert_true(sleeps(ctx, &deadline));
    aio_notify(ctx);
    while (drive(ctx, false)) {
        continue;
    }
    aio_notify(ctx);
    aio_notify_accept(ctx);
    assert_true(sleeps(ctx, &deadline));
}

static void notify_at_once(void *opaque)
{
    aio_notify(opaque);
}

static void let_another_notify(void *opaque)
{
    fixture_thread_join(fixture_thread_start(notify_at_once, opaque));
}

static void notify_during_a_callback_is_for_the_next_iteration(AioContext *ctx)
{
    Deadline deadline;
    deadline_init(&deadline, ctx);
    aio_bh_schedule_oneshot(ctx, let_another_notify, ctx);
    assert_true(drive(ctx, true));
    assert_false(drive(ctx, true)); /* at once */
    assert_int_equal(counters_of(ctx).sleeps, 0);
    assert_true(sleeps(ctx, &deadline));
}

static void sleep_then_notify(void *opaque)
{
    fixture_sleep_ms(300);
    aio_notify(opaque);
}

static void notify_ends_a_wait_for_nothing_and_the_wait_costs_nothing(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    aio_context_bind(ctx);
    FixtureThread *thread = fixture_thread_start(sleep_then_notify, ctx);
    int64_t cpu = fixture_cpu_ns();
    assert_false(drive(ctx, true));
    assert_true(fixture_cpu_ns() - cpu < 150000000);
    fixture_thread_join(thread);
    AioContextCounters counters = counters_of(ctx);
    assert_int_equal(counters.waits, 1);
    assert_int_equal(counters.sleeps, 1);
    assert_int_equal(counters.notifier_writes, 1);
    assert_int_equal(counters.drains, ctx->notify.drained ? 1 : 0);
    fixture_context_free(ctx);
}

static void drain_is_not_needed_where_the_system_tells_edges(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    bool edges = (ctx->poller->ops->flags & AIO_POLLER_EDGE) &&
                 aio__notifier_has_edges(&ctx->notify.notifier);
    bool by_poller = ctx->poller->ops->wake != NULL; /* then only hosts have a use for it */
    assert_int_equal(ctx->notify.drained, !edges && !by_poller);
    fixture_context_free(ctx);
}

static void progress_may_be_followed_by_a_sleep(AioContext *ctx)
{
    Deadline deadline;
    int calls = 0;
    deadline_init(&deadline, ctx);
    aio_bh_schedule_oneshot(ctx, count, &calls);
    assert_true(drive(ctx, true));
    assert_true(sleeps(ctx, &deadline));
}

/* What a loop that is awake costs. */

typedef struct Posting {
    AioContext *ctx;
    AioBh *bh;
    int calls;
    int rounds;
} Posting;

static void post_from_outside(void *opaque)
{
    Posting *posting = opaque;
    for (int i = 0; i < 100; i++) {
        aio_bh_schedule(posting->bh);
        aio_bh_schedule_idle(posting->bh);
        aio_notify(posting->ctx);
    }
}

static void let_another_post(void *opaque)
{
    fixture_thread_join(fixture_thread_start(post_from_outside, opaque));
}

static void loop_that_is_awake_is_not_written_to(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Posting posting = {.ctx = ctx};
    posting.bh = aio_bh_new(ctx, count, &posting.calls);
    for (int i = 1; i <= 5; i++) {
        aio_bh_schedule_oneshot(ctx, let_another_post, &posting);
        assert_true(drive(ctx, true));
        assert_true(drive(ctx, true));
        assert_int_equal(posting.calls, i);
    }
    AioContextCounters counters = counters_of(ctx);
    assert_int_equal(counters.notifier_writes, 0);
    assert_int_equal(counters.drains, 0);
    assert_int_equal(counters.sleeps, 0);
    aio_bh_delete(posting.bh);
    fixture_context_free(ctx);
}

static void loop_with_work_asks_the_system_now_and_then(AioContext *ctx)
{
    FixturePair pair = fixture_pair();
    int calls = 0, reads = 0;
    aio_set_fd_handler(ctx, (int)pair.a, false, count, NULL, NULL, &reads);
    fixture_write(pair.b, "?", 1);
    int rounds = 0;
    while (reads == 0 && rounds++ < 100) {
        aio_bh_schedule_oneshot(ctx, count, &calls);
        assert_true(drive(ctx, true));
    }
    assert_in_range(rounds, 1, 20); /* not starved */
    aio_set_fd_handler(ctx, (int)pair.a, false, NULL, NULL, NULL, NULL);
    uint64_t before = counters_of(ctx).waits;
    for (int i = 0; i < 100; i++) {
        aio_bh_schedule_oneshot(ctx, count, &calls);
        assert_true(drive(ctx, true));
    }
    assert_in_range(counters_of(ctx).waits - before, 5, 50); /* nor asked each time */
    before = counters_of(ctx).waits;
    for (int i = 0; i < 10; i++) {
        aio_bh_schedule_oneshot(ctx, count, &calls);
        assert_true(drive(ctx, false));
    }
    assert_int_equal(counters_of(ctx).waits - before,
                     10); /* a call that does not block always does */
    fixture_pair_close(&pair);
}

static void post_at_home(void *opaque)
{
    Posting *posting = opaque;
    if (posting->rounds-- > 0) {
        aio_bh_schedule_oneshot(posting->ctx, post_at_home, posting);
    }
    if (posting->rounds == 2) {
        aio_poll(posting->ctx, true);
    }
}

static void work_posted_at_home_waits_for_nothing(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    aio_context_bind(ctx);
    Posting posting = {.ctx = ctx, .rounds = 5};
    post_at_home(&posting); /* outside of the loop, in it, and in a nested iteration */
    while (posting.rounds >= 0) {
        assert_true(drive(ctx, true));
    }
    assert_int_equal(counters_of(ctx).sleeps, 0);
    assert_int_equal(counters_of(ctx).notifier_writes, 0);
    fixture_context_free(ctx);
}

/* Kicks: changes that the loop has to look at, but that are nothing to come back for. */

typedef struct Changes {
    AioContext *ctx;
    AioTimer *timer;
    AioBh *bh;
    FixturePair pair;
    int calls;
} Changes;

static void change_this_and_that(Changes *changes)
{
    aio_timer_mod(changes->timer, INT64_MAX);
    aio_timer_mod(changes->timer, INT64_MAX - 1);
    aio_set_fd_handler(changes->ctx, (int)changes->pair.a, false, count, NULL, NULL,
                       &changes->calls);
    aio_disable_external(changes->ctx);
    aio_enable_external(changes->ctx);
    aio_context_set_poll_params(changes->ctx, 0, 0, 0, NULL);
}

static void change_then_post(void *opaque)
{
    Changes *changes = opaque;
    fixture_sleep_ms(10);
    for (int i = 0; i < 5; i++) {
        change_this_and_that(changes);
        fixture_sleep_ms(1);
    }
    aio_bh_schedule(changes->bh);
}

static void change_without_delay(void *opaque)
{
    change_this_and_that(opaque);
}

static void let_another_change(void *opaque)
{
    fixture_thread_join(fixture_thread_start(change_without_delay, opaque));
}

static void changes_of_another_thread_do_not_end_a_wait(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Deadline deadline, far;
    deadline_init(&deadline, ctx);
    deadline_init(&far, ctx);
    Changes changes = {.ctx = ctx, .timer = &far.timer, .pair = fixture_pair()};
    changes.bh = aio_bh_new(ctx, count, &changes.calls);
    FixtureThread *thread = fixture_thread_start(change_then_post, &changes);
    assert_true(drive(ctx, true));
    assert_int_equal(changes.calls, 1);
    assert_int_equal(counters_of(ctx).iterations, 1);
    fixture_thread_join(thread);
    /* Nor the next one, where they come while the loop is awake. */
    aio_bh_schedule_oneshot(ctx, let_another_change, &changes);
    assert_true(drive(ctx, true));
    assert_true(sleeps(ctx, &deadline));
    assert_int_equal(counters_of(ctx).iterations, 3);
    /* And they do not hide what comes while it sleeps then. */
    aio_bh_schedule_oneshot(ctx, let_another_change, &changes);
    assert_true(drive(ctx, true));
    thread = fixture_thread_start(change_then_post, &changes);
    assert_true(drive(ctx, true));
    assert_int_equal(changes.calls, 2);
    fixture_thread_join(thread);
    aio_timer_del(&far.timer);
    aio_set_fd_handler(ctx, (int)changes.pair.a, false, NULL, NULL, NULL, NULL);
    aio_bh_delete(changes.bh);
    fixture_pair_close(&changes.pair);
    fixture_context_free(ctx);
}

static void write_twice_then_post(void *opaque)
{
    Posting *posting = opaque;
    for (int i = 0; i < 2; i++) {
        fixture_sleep_ms(5);
        aio_notifier_set(&posting->ctx->notify.notifier);
    }
    fixture_sleep_ms(5);
    aio_bh_schedule(posting->bh);
}

static void late_write_of_a_former_wake_up_ends_no_wait(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Posting posting = {.ctx = ctx};
    posting.bh = aio_bh_new(ctx, count, &posting.calls);
    FixtureThread *thread = fixture_thread_start(write_twice_then_post, &posting);
    assert_true(drive(ctx, true));
    assert_int_equal(posting.calls, 1);
    fixture_thread_join(thread);
    aio_bh_delete(posting.bh);
    fixture_context_free(ctx);
}

static void context_whose_wake_up_is_closed_by_others_says_so_once(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Deadline deadline;
    deadline_init(&deadline, ctx);
    fixture_close(aio_notifier_handle(&ctx->notify.notifier));
    assert_true(sleeps(ctx, &deadline));
    assert_true(sleeps(ctx, &deadline));
    aio_notify(ctx);
    assert_false(drive(ctx, true));
    AioError *error = aio_context_take_error(ctx);
    if (error) { /* epoll(7) says nothing of it */
        assert_int_equal(aio_error_code(error), EBADF);
        aio_error_free(error);
    }
    assert_in_range(counters_of(ctx).errors_recorded, 0, 1);
    fixture_context_free(ctx);
}

/* In signal handlers. */

typedef struct Raised {
    AioContext *ctx;
    AioBh *bh;
    AioBh *idle;
    atomic_int raised;
    int seen;
    int other;
} Raised;

static void see(void *opaque)
{
    Raised *raised = opaque;
    raised->seen = atomic_load_explicit(&raised->raised, memory_order_relaxed);
}

static void post_in_signal_handler(void *opaque)
{
    Raised *raised = opaque;
    int n = atomic_fetch_add_explicit(&raised->raised, 1, memory_order_relaxed);
    aio_bh_schedule(raised->bh);
    if (n % 2) {
        aio_bh_schedule_idle(raised->idle);
    } else {
        aio_notify(raised->ctx);
    }
}

static void signal_handler_posts_at_any_point_of_the_loop_and_of_other_posts(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Raised raised = {.ctx = ctx};
    raised.bh = aio_bh_new(ctx, see, &raised);
    raised.idle = aio_bh_new(ctx, count, &raised.other);
    AioBh *own = aio_bh_new(ctx, count, &raised.other);
    aio_context_bind(ctx);
    if (!fixture_signal_start(post_in_signal_handler, &raised, 60)) {
        fixture_skip("no such signals here");
    }
    int64_t end = fixture_now_ns() + SECOND / 2 * (int64_t)fixture_long();
    bool in_time = true;
    for (int i = 0; fixture_now_ns() < end && in_time; i++) {
        for (int k = 0; k < i % 50; k++) { /* interrupted in the middle of the same calls */
            aio_bh_schedule(i % 3 ? raised.bh : own);
            aio_notify(ctx);
        }
        int64_t start = fixture_now_ns();
        drive(ctx, true); /* sleeps where nothing was posted, and a signal ends that */
        in_time = fixture_now_ns() - start < 2 * SECOND;
    }
    fixture_signal_stop();
    assert_true(in_time);
    while (drive(ctx, false)) {
        continue;
    }
    assert_int_equal(raised.seen, atomic_load(&raised.raised));
    assert_true(raised.seen > 50);
    aio_bh_delete(raised.bh);
    aio_bh_delete(raised.idle);
    aio_bh_delete(own);
    fixture_context_free(ctx);
}

static void stop_in_signal_handler(void *opaque)
{
    aio_context_stop(opaque);
}

static void signal_handler_stops_a_run_at_any_point(AioContext *ctx)
{
    if (!fixture_signal_start(stop_in_signal_handler, ctx, 200)) {
        fixture_skip("no such signals here");
    }
    for (int i = 0; i < 1000; i++) {
        aio_context_run(ctx);
    }
    fixture_signal_stop();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(notify_before_a_blocking_call_is_remembered),
    cmocka_unit_test_home(notify_alone_is_no_progress_and_no_endless_loop),
    cmocka_unit_test_home(notify_during_a_callback_is_for_the_next_iteration),
    cmocka_unit_test(notify_ends_a_wait_for_nothing_and_the_wait_costs_nothing),
    cmocka_unit_test(drain_is_not_needed_where_the_system_tells_edges),
    cmocka_unit_test_home(progress_may_be_followed_by_a_sleep),
    cmocka_unit_test(loop_that_is_awake_is_not_written_to),
    cmocka_unit_test_home(loop_with_work_asks_the_system_now_and_then),
    cmocka_unit_test(work_posted_at_home_waits_for_nothing),
    cmocka_unit_test(changes_of_another_thread_do_not_end_a_wait),
    cmocka_unit_test(late_write_of_a_former_wake_up_ends_no_wait),
    cmocka_unit_test(context_whose_wake_up_is_closed_by_others_says_so_once),
    cmocka_unit_test(signal_handler_posts_at_any_point_of_the_loop_and_of_other_posts),
    cmocka_unit_test_home(signal_handler_stops_a_run_at_any_point),
};
TEST_MAIN(tests)
