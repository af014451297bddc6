/*
 * A foreign loop drives a context by prepare, compute_timeout, pending and dispatch, and sleeps by itself.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/busy_source.h"

/* The foreign loop: one context, and the handles that it waits for. */
typedef struct Host {
    AioContext *ctx;
    AioHandle handles[4];
    size_t count;
    int waits;    /* of its own that slept */
    int timeouts; /* of these */
} Host;

static void host_add(Host *host, AioHandle handle)
{
    if (!(host->ctx->poller->ops->flags & AIO_POLLER_HANDLE)) {
        host->handles[host->count++] = handle;
    }
}

/* A poller with a handle is waited for by that one, another by the handles of its watches. */
static Host host_of(AioContext *ctx)
{
    Host host = {.ctx = ctx};
    const AioPollerOps *ops = ctx->poller->ops;
    host.handles[host.count++] = ops->flags & AIO_POLLER_HANDLE
                                     ? ops->handle(ctx->poller)
                                     : aio_notifier_handle(&ctx->notify.notifier);
    return host;
}

static int in_ms(int64_t timeout_ns)
{
    return timeout_ns < 0 ? -1 : (int)((timeout_ns + 999999) / 1000000);
}

/* One turn of the foreign loop. Returns whether the context was dispatched. */
static bool host_turn(Host *host, bool may_block)
{
    if (!aio_prepare(host->ctx)) {
        int timeout = may_block ? in_ms(aio_compute_timeout(host->ctx)) : 0;
        bool woke = fixture_wait_readable(host->handles, host->count, timeout);
        host->waits += timeout != 0;
        host->timeouts += !woke;
        if (!aio_pending(host->ctx)) {
            return false;
        }
    }
    aio_dispatch(host->ctx);
    return true;
}

static void host_done(Host *host)
{
    while (host_turn(host, false)) {
        continue;
    }
    aio_context_unref(host->ctx);
}

static void host_runs_bottom_halves_handlers_and_timers(void **state)
{
    (void)state;
    Host host = host_of(fixture_context());
    Source source;
    AioTimer timer;
    int bhs = 0, timers = 0;
    source_init(&source, host.ctx);
    host_add(&host, source.pair.a);
    assert_false(host_turn(&host, false));
    aio_bh_schedule_oneshot(host.ctx, count, &bhs);
    assert_true(host_turn(&host, true));
    assert_int_equal(bhs, 1);
    fixture_write(source.pair.b, "?", 1);
    assert_true(host_turn(&host, true));
    assert_string_equal(source.log, "r");
    aio_timer_init(host.ctx, &timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS, count, &timers);
    int64_t deadline = aio_clock_get_ns(AIO_CLOCK_REALTIME) + 5000000;
    aio_timer_mod(&timer, deadline);
    assert_true(host_turn(&host, true));
    assert_int_equal(timers, 1);
    assert_true(aio_clock_get_ns(AIO_CLOCK_REALTIME) > deadline);
    assert_false(host_turn(&host, false));
    source_done(&source);
    host_done(&host);
}

static void prepare_may_be_called_again_and_says_whether_there_is_work(AioContext *ctx)
{
    AioTimer timer;
    int calls = 0;
    aio_timer_init(ctx, &timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS, count, &calls);
    for (int i = 0; i < 3; i++) {
        assert_false(aio_prepare(ctx));
        assert_int_equal(aio_compute_timeout(ctx), -1);
    }
    aio_timer_mod(&timer, aio_clock_get_ns(AIO_CLOCK_REALTIME) + 3600 * SECOND);
    assert_false(aio_prepare(ctx));
    assert_in_range(aio_compute_timeout(ctx), 3500 * SECOND, 3600 * SECOND);
    aio_timer_mod(&timer, 0);
    assert_true(aio_prepare(ctx));
    assert_true(aio_prepare(ctx));
    assert_int_equal(aio_compute_timeout(ctx), 0);
    aio_dispatch(ctx);
    assert_int_equal(calls, 1);
    assert_false(aio_prepare(ctx));
    aio_bh_schedule_oneshot(ctx, count, &calls);
    assert_true(aio_prepare(ctx));
    assert_int_equal(aio_compute_timeout(ctx), 0);
    aio_dispatch(ctx);
    assert_int_equal(calls, 2);
    assert_false(aio_prepare(ctx));
    assert_false(aio_pending(ctx));
    assert_false(aio_prepare(ctx));
}

static void idle_bh_is_work_only_after_the_wait(void **state)
{
    (void)state;
    Host host = host_of(fixture_context());
    int calls = 0;
    AioBh *bh = aio_bh_new(host.ctx, count, &calls);
    aio_bh_schedule_idle(bh);
    assert_false(aio_prepare(host.ctx));
    assert_int_equal(aio_compute_timeout(host.ctx), 10000000);
    assert_true(aio_pending(host.ctx));
    aio_dispatch(host.ctx);
    assert_int_equal(calls, 1);
    assert_false(aio_prepare(host.ctx));
    assert_int_equal(aio_compute_timeout(host.ctx), -1);
    aio_bh_delete(bh);
    host_done(&host);
}

static void deletion_is_work_once(void **state)
{
    (void)state;
    Host host = host_of(fixture_context());
    int calls = 0;
    AioBh *bh = aio_bh_new(host.ctx, count, &calls);
    assert_false(aio_prepare(host.ctx));
    aio_bh_delete(bh);
    assert_true(
        fixture_wait_readable(host.handles, host.count, 10000)); /* the host sleeps, perhaps */
    assert_true(aio_pending(host.ctx));
    aio_dispatch(host.ctx);
    assert_false(host_turn(&host, false));
    assert_int_equal(calls, 0);
    host_done(&host);
}

static void notify_wakes_a_host_and_then_all_is_quiet(void **state)
{
    (void)state;
    Host host = host_of(fixture_context());
    aio_notify(host.ctx);
    assert_true(aio_prepare(host.ctx)); /* remembered */
    aio_dispatch(host.ctx);
    assert_false(aio_prepare(host.ctx));
    aio_notify(host.ctx);
    assert_true(fixture_wait_readable(host.handles, host.count, 10000));
    assert_false(aio_pending(host.ctx)); /* taken note of */
    for (int i = 0; i < 3; i++) {
        assert_false(host_turn(&host, false));
        assert_false(fixture_wait_readable(host.handles, host.count, 0)); /* and it does not spin */
    }
    host_done(&host);
}

static void prepare_leaves_busy_polling_and_looks_once_more(void **state)
{
    (void)state;
    Host host = host_of(fixture_context());
    Source source;
    source_init(&source, host.ctx);
    fix_window(host.ctx, 10 * SECOND);
    source.find_at = 1;
    source.find = 1;
    assert_true(aio_poll(host.ctx, true));
    assert_string_equal(source.log, "bp!");
    assert_false(aio_prepare(host.ctx));
    assert_string_equal(source.log, "bp!ep");
    aio_prepare(host.ctx);
    assert_string_equal(source.log, "bp!ep");
    source.find = 1;
    assert_true(aio_poll(host.ctx, true));
    source.find = 1;
    assert_true(aio_prepare(host.ctx)); /* found by that look */
    assert_string_equal(source.log, "bp!epbp!ep!");
    aio_dispatch(host.ctx);
    source_done(&source);
    host_done(&host);
}

static void host_does_not_busy_poll(void **state)
{
    (void)state;
    Host host = host_of(fixture_context());
    Source source;
    int calls = 0;
    source_init(&source, host.ctx);
    host_add(&host, source.pair.a);
    fix_window(host.ctx, 10 * SECOND);
    source.find_at = 1;
    for (int i = 0; i < 10; i++) {
        aio_bh_schedule_oneshot(host.ctx, count, &calls);
        fixture_write(source.pair.b, "?", 1);
        assert_true(host_turn(&host, true));
        host_turn(&host, true);
    }
    assert_int_equal(calls, 10);
    assert_int_equal(source.looks, 0);
    assert_int_equal(source.read_calls, 10);
    assert_int_equal(counters_of(host.ctx).busy_polls, 0);
    source_done(&source);
    host_done(&host);
}

/* From another thread. */

typedef struct Poster {
    AioContext *ctx;
    AioBh *bh;
    AioTimer timer;
    FixturePair pair;
    int posted; /* plain: each way to post makes it visible */
    int seen;
    atomic_int taken;
    atomic_bool stop;
    int ways;
    bool stale; /* something posted before was not seen */
} Poster;

static void take(void *opaque)
{
    Poster *poster = opaque;
    poster->stale |= poster->posted < poster->seen;
    poster->seen = poster->posted;
    atomic_store(&poster->taken, poster->seen);
}

static void take_handler(void *opaque)
{
    Poster *poster = opaque;
    aio_set_fd_handler(poster->ctx, (int)poster->pair.a, false, NULL, NULL, NULL, NULL);
    take(poster);
}

static void post_in_all_ways(void *opaque)
{
    Poster *poster = opaque;
    for (int i = 1; !atomic_load(&poster->stop); i++) {
        poster->posted = i;
        switch (i % poster->ways) {
        case 0:
            aio_bh_schedule(poster->bh);
            break;
        case 1:
            aio_bh_schedule_oneshot(poster->ctx, take, poster);
            break;
        case 2:
            aio_timer_mod(&poster->timer, 0);
            break;
        case 3:
            aio_bh_schedule_idle(poster->bh);
            break;
        case 4:
            aio_timer_mod(&poster->timer, aio_clock_get_ns(AIO_CLOCK_REALTIME) + 20000);
            break;
        default: /* readable already */
            aio_set_fd_handler(poster->ctx, (int)poster->pair.a, false, take_handler, NULL, NULL,
                               poster);
        }
        while (atomic_load(&poster->taken) != i && !atomic_load(&poster->stop)) {
            fixture_yield();
        }
    }
}

/* The next is posted only after the last was taken, so what is lost shows as a wait without an end. */
static void hammer(bool may_mix, int ways)
{
    Host host = host_of(fixture_context());
    Poster poster = {.ctx = host.ctx, .pair = fixture_pair(), .ways = ways};
    poster.bh = aio_bh_new(host.ctx, take, &poster);
    aio_timer_init(host.ctx, &poster.timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS, take, &poster);
    aio_context_bind(host.ctx);
    fixture_write(poster.pair.b, "?", 1);
    FixtureThread *thread = fixture_thread_start(post_in_all_ways, &poster);
    int64_t end = fixture_now_ns() + SECOND * (int64_t)fixture_long();
    bool in_time = true;
    for (int i = 0; fixture_now_ns() < end && in_time; i++) {
        int64_t start = fixture_now_ns();
        if (may_mix && i % 3 == 0) {
            aio_poll(host.ctx, i % 2);
        } else {
            host_turn(&host, true);
        }
        in_time = fixture_now_ns() - start < 5 * SECOND;
    }
    atomic_store(&poster.stop, true);
    fixture_thread_join(thread);
    assert_true(in_time);
    assert_false(poster.stale);
    assert_true(poster.seen > 100);
    AioContextCounters counters = counters_of(host.ctx);
    if (host.ctx->notify.drained || host.ctx->poller->ops->wake) {
        assert_true(counters.drains > 0);
    } else {
        assert_int_equal(counters.drains, 0);
    }
    aio_timer_del(&poster.timer);
    aio_bh_delete(poster.bh);
    aio_set_fd_handler(host.ctx, (int)poster.pair.a, false, NULL, NULL, NULL, NULL);
    fixture_pair_close(&poster.pair);
    host_done(&host);
}

/* A host on poll(2) would have to learn of the handler that another thread set: all but that. */
static int ways_of_this_poller(void)
{
    AioContext *ctx = fixture_context();
    int ways = ctx->poller->ops->flags & AIO_POLLER_HANDLE ? 6 : 5;
    aio_context_unref(ctx);
    return ways;
}

static void no_wake_up_of_a_host_is_lost(void **state)
{
    (void)state;
    hammer(false, ways_of_this_poller());
}

static void no_wake_up_of_a_host_is_lost_on_one_core(void **state)
{
    (void)state;
    if (!fixture_pin(0)) {
        fixture_skip("threads can't be pinned here");
    }
    hammer(false, ways_of_this_poller());
    fixture_pin(-1);
}

static void no_wake_up_is_lost_between_polls_and_host_turns(void **state)
{
    (void)state;
    hammer(true, ways_of_this_poller());
}

/* Mixing with aio_poll(). */

static void poll_in_callback(void *opaque)
{
    Host *host = opaque;
    int calls = 0;
    aio_bh_schedule_oneshot(host->ctx, count, &calls);
    while (calls == 0) {
        aio_poll(host->ctx, true);
    }
}

static void turn_in_callback(void *opaque)
{
    Host *host = opaque;
    int calls = 0;
    aio_bh_schedule_oneshot(host->ctx, count, &calls);
    while (calls == 0) {
        host_turn(host, true);
    }
}

static void polls_and_turns_mix_and_nest(void **state)
{
    (void)state;
    Host host = host_of(fixture_context());
    AioCallback *const callbacks[] = {poll_in_callback, turn_in_callback};
    for (int i = 0; i < 8; i++) {
        aio_bh_schedule_oneshot(host.ctx, callbacks[i / 2 % 2], &host);
        if (i % 2) {
            assert_true(host_turn(&host, true));
        } else {
            assert_true(aio_poll(host.ctx, true));
        }
    }
    assert_false(aio_poll(host.ctx, false));
    assert_false(host_turn(&host, false));
    assert_false(fixture_wait_readable(host.handles, host.count, 0));
    host_done(&host);
}

typedef struct Arming {
    AioTimer timer;
    int calls;
} Arming;

static void arm_soon(void *opaque)
{
    Arming *arming = opaque;
    aio_timer_mod(&arming->timer, aio_clock_get_ns(AIO_CLOCK_REALTIME) + 10000000);
}

static void poll_between_prepare_and_wait_does_not_put_the_host_to_sleep(void **state)
{
    (void)state;
    Host host = host_of(fixture_context());
    Arming arming = {.calls = 0};
    aio_timer_init(host.ctx, &arming.timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS, count, &arming.calls);
    assert_false(aio_prepare(host.ctx));
    assert_int_equal(aio_compute_timeout(host.ctx), -1);
    /* Another part of the host's program; the second call swallows the wake-up of the first one's timer. */
    aio_bh_schedule_oneshot(host.ctx, arm_soon, &arming);
    assert_true(aio_poll(host.ctx, false));
    assert_false(aio_poll(host.ctx, false));
    assert_true(fixture_wait_readable(host.handles, host.count, 10000));
    aio_pending(host.ctx);
    while (arming.calls == 0) {
        host_turn(&host, true);
    }
    /* The same with a blocking call that sleeps. */
    assert_false(aio_prepare(host.ctx));
    aio_timer_mod(&arming.timer, aio_clock_get_ns(AIO_CLOCK_REALTIME) + 1000000);
    assert_true(aio_poll(host.ctx, true));
    arm_soon(&arming);
    aio_poll(host.ctx, false);
    assert_true(fixture_wait_readable(host.handles, host.count, 10000));
    while (arming.calls == 2) {
        host_turn(&host, true);
    }
    assert_false(host_turn(&host, false));
    assert_false(fixture_wait_readable(host.handles, host.count, 0));
    host_done(&host);
}

static void loop_without_a_host_writes_nothing_after_one_has_left(AioContext *ctx)
{
    int calls = 0;
    assert_false(aio_prepare(ctx));
    aio_context_unbind(ctx); /* the host is gone */
    uint64_t before = counters_of(ctx).notifier_writes;
    for (int i = 0; i < 10; i++) {
        aio_bh_schedule_oneshot(ctx, count, &calls);
        assert_true(aio_poll(ctx, true));
    }
    assert_int_equal(counters_of(ctx).notifier_writes, before);
}

static void host_that_sleeps_is_written_to_once(void **state)
{
    (void)state;
    Host host = host_of(fixture_context());
    int calls = 0, idle_calls = 0;
    AioBh *idle = aio_bh_new(host.ctx, count, &idle_calls);
    for (int i = 0; i < 10; i++) {
        assert_false(aio_prepare(host.ctx));
        aio_bh_schedule_idle(idle); /* a kick, and news after it */
        for (int k = 0; k < 5; k++) {
            aio_bh_schedule_oneshot(host.ctx, count, &calls);
        }
        assert_true(fixture_wait_readable(host.handles, host.count, 10000));
        assert_true(aio_pending(host.ctx));
        aio_dispatch(host.ctx);
        aio_bh_schedule_oneshot(host.ctx, count, &calls); /* awake: none */
        assert_true(aio_prepare(host.ctx));
        aio_dispatch(host.ctx);
    }
    assert_int_equal(calls, 60);
    assert_int_equal(idle_calls, 10);
    assert_int_equal(counters_of(host.ctx).notifier_writes, 10);
    aio_bh_delete(idle);
    host_done(&host);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(host_runs_bottom_halves_handlers_and_timers),
    cmocka_unit_test_home(prepare_may_be_called_again_and_says_whether_there_is_work),
    cmocka_unit_test(idle_bh_is_work_only_after_the_wait),
    cmocka_unit_test(deletion_is_work_once),
    cmocka_unit_test(notify_wakes_a_host_and_then_all_is_quiet),
    cmocka_unit_test(prepare_leaves_busy_polling_and_looks_once_more),
    cmocka_unit_test(host_does_not_busy_poll),
    cmocka_unit_test(no_wake_up_of_a_host_is_lost),
    cmocka_unit_test(no_wake_up_of_a_host_is_lost_on_one_core),
    cmocka_unit_test(no_wake_up_is_lost_between_polls_and_host_turns),
    cmocka_unit_test(polls_and_turns_mix_and_nest),
    cmocka_unit_test(poll_between_prepare_and_wait_does_not_put_the_host_to_sleep),
    cmocka_unit_test_home(loop_without_a_host_writes_nothing_after_one_has_left),
    cmocka_unit_test(host_that_sleeps_is_written_to_once),
};
TEST_MAIN(tests)
