/*
 * A thread that runs a context.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "core/alloc.h"
#include "tests/fixture.h"

#define HAMMER_NS INT64_C(700000000)

static AioThread *start(void)
{
    AioContextOptions options = {.size = sizeof(options), .poller = fixture_poller(), .name = "t"};
    AioError *error = NULL;
    AioThread *thread = aio_thread_start(&options, &error);
    assert_non_null(thread);
    assert_null(error);
    return thread;
}

typedef struct Visit {
    AioContext *ctx;
    atomic_int runs;
    atomic_bool at_home;
    AioThread *stop; /* from the callback */
    int again;       /* so many times, from the callback */
} Visit;

static void visit(void *opaque)
{
    Visit *v = opaque;
    v->at_home = aio_context_in_home_thread(v->ctx) && aio_context_current() == v->ctx;
    if (v->stop) {
        aio_thread_stop(v->stop);
    }
    if (v->again > 0) {
        v->again--;
        aio_bh_schedule_oneshot(v->ctx, visit, v);
    }
    atomic_fetch_add(&v->runs, 1);
}

static void it_runs_its_context_at_home(void **state)
{
    (void)state;
    AioThread *thread = start();
    Visit v = {.ctx = aio_thread_context(thread)};
    assert_false(aio_context_in_home_thread(v.ctx));
    aio_bh_schedule_oneshot(v.ctx, visit, &v);
    while (v.runs == 0) {
        fixture_yield();
    }
    assert_true(v.at_home);
    aio_thread_join(thread);
    assert_int_equal(v.runs, 1);
}

static void join_runs_what_is_left(void **state)
{
    (void)state;
    AioThread *thread = start();
    Visit v = {.ctx = aio_thread_context(thread), .again = 50};
    for (int i = 0; i < 100; i++) {
        aio_bh_schedule_oneshot(v.ctx, visit, &v);
    }
    aio_thread_join(thread);
    assert_int_equal(v.runs, 150);
}

static void stopping_is_asynchronous_and_repeats(void **state)
{
    (void)state;
    AioThread *thread = start();
    aio_thread_stop(thread);
    aio_thread_stop(thread);
    fixture_sleep_ms(2);
    aio_thread_stop(thread);
    aio_thread_join(thread);
}

static void a_callback_stops_its_thread(void **state)
{
    (void)state;
    AioThread *thread = start();
    Visit v = {.ctx = aio_thread_context(thread), .stop = thread, .again = 3};
    aio_context_ref(v.ctx);
    aio_bh_schedule_oneshot(v.ctx, visit, &v);
    while (v.runs < 4) {
        fixture_yield();
    }
    aio_thread_join(thread);
    assert_int_equal(v.runs, 4);
    /* The thread gave it up: it can have another home. */
    aio_context_bind(v.ctx);
    assert_false(drive(v.ctx, false));
    aio_context_unref(v.ctx);
}

static void stop_context(void *opaque)
{
    aio_context_stop(opaque);
}

static void a_bottom_half_that_stops_the_run_ends_the_thread(void **state)
{
    (void)state;
    AioThread *thread = start();
    AioContext *ctx = aio_thread_context(thread);
    aio_bh_schedule_oneshot(ctx, stop_context, ctx);
    fixture_sleep_ms(1);
    aio_thread_join(thread);
}

/* A callback that runs the context itself, as often as it is told to. */
typedef struct Inner {
    AioContext *ctx;
    int depth;
    AioBhFunc *then; /* scheduled for the innermost run */
    atomic_int begun;
    atomic_int ended;
} Inner;

static void run_inside(void *opaque)
{
    Inner *inner = opaque;
    if (inner->depth-- > 0) {
        aio_bh_schedule_oneshot(inner->ctx, run_inside, inner);
        atomic_fetch_add(&inner->begun, 1);
        aio_context_run(inner->ctx);
        atomic_fetch_add(&inner->ended, 1);
    } else if (inner->then) {
        inner->then(inner->ctx);
    }
}

static void join_ends_runs_inside_the_run(void **state)
{
    (void)state;
    for (int depth = 1; depth <= 3; depth++) {
        AioThread *thread = start();
        Inner inner = {.ctx = aio_thread_context(thread), .depth = depth};
        aio_bh_schedule_oneshot(inner.ctx, run_inside, &inner);
        while (inner.begun < depth) {
            fixture_yield();
        }
        aio_thread_join(thread);
        assert_int_equal(inner.ended, depth);
    }
}

static void a_stop_of_the_context_inside_ends_the_thread(void **state)
{
    (void)state;
    AioThread *thread = start();
    Inner inner = {.ctx = aio_thread_context(thread), .depth = 2, .then = stop_context};
    aio_context_ref(inner.ctx);
    aio_bh_schedule_oneshot(inner.ctx, run_inside, &inner);
    while (inner.ended < 2) {
        fixture_yield();
    }
    aio_thread_join(thread);
    /* Neither stop is left over for a later home. */
    Inner later = {.ctx = inner.ctx, .depth = 1, .then = stop_context};
    run_inside(&later);
    assert_int_equal(later.ended, 1);
    assert_int_equal(later.depth, -1);
    fixture_context_free(inner.ctx);
}

typedef struct Ending {
    AioThread *thread;
    Inner inner;
} Ending;

static void stop_and_run(void *opaque)
{
    Ending *ending = opaque;
    aio_thread_stop(ending->thread);
    aio_bh_schedule_oneshot(ending->inner.ctx, run_inside, &ending->inner);
}

static void a_run_while_the_thread_ends_returns_at_once(void **state)
{
    (void)state;
    for (int round = 0; round < 50; round++) {
        Ending ending = {.thread = start(), .inner.depth = 3};
        ending.inner.ctx = aio_thread_context(ending.thread);
        aio_bh_schedule_oneshot(ending.inner.ctx, stop_and_run, &ending);
        aio_thread_join(ending.thread);
        assert_int_equal(ending.inner.ended, 3);
    }
}

static void a_shared_context_is_refused(void **state)
{
    (void)state;
    AioContextOptions options = {.size = sizeof(options), .flags = AIO_CONTEXT_SHARED};
    AioError *error = NULL;
    assert_null(aio_thread_start(&options, &error));
    assert_int_equal(aio_error_code(error), EINVAL);
    aio_error_free(error);
    assert_null(aio_thread_start(&options, NULL));
}

static void each_refusal_of_memory_is_an_error(void **state)
{
    (void)state;
    unsigned handles = fixture_open_handles();
    AioThread *thread = NULL;
    unsigned n = 1;
    for (; !thread; n++) {
        AioError *error = NULL;
        aio__alloc_fail_at(n);
        thread = aio_thread_start(NULL, &error);
        if (!thread) {
            assert_true(aio__alloc_failed());
            assert_int_equal(aio_error_code(error), ENOMEM);
            aio_error_free(error);
            assert_true(fixture_handles_left(handles));
        }
        assert_true(n < 1000);
    }
    aio__alloc_fail_at(0);
    assert_true(n > 3);
    aio_thread_join(thread);
    assert_true(fixture_handles_left(handles));
}

static void started_and_stopped_again_and_again(void **state)
{
    (void)state;
    int64_t until = fixture_now_ns() + HAMMER_NS * fixture_long();
    for (unsigned round = 0; round < 10000 * fixture_long() && fixture_now_ns() < until; round++) {
        AioThread *thread = start();
        Visit v = {.ctx = aio_thread_context(thread)};
        if (round % 3 == 1) {
            aio_thread_stop(thread);
        } else if (round % 3 == 2) {
            aio_bh_schedule_oneshot(v.ctx, visit, &v);
        }
        aio_thread_join(thread);
        assert_int_equal(v.runs, round % 3 == 2);
    }
}

/* A loop that looks at a flag, and is woken by a notification only. */
typedef struct Flagged {
    AioContext *ctx;
    _Atomic unsigned round; /* the loop ends each round when this is beyond it */
    _Atomic unsigned ended;
    unsigned rounds;
} Flagged;

static void poll_while_flag(void *opaque)
{
    Flagged *f = opaque;
    for (unsigned round = 0; round < f->rounds; round++) {
        while (f->round <= round) {
            aio_poll(f->ctx, true);
        }
        f->ended = round + 1;
    }
    aio_context_unbind(f->ctx);
}

static void a_flag_and_a_notification_end_the_loop(void **state)
{
    (void)state;
    Flagged f = {.ctx = fixture_context(), .rounds = 20000 * fixture_long()};
    FixtureThread *thread = fixture_thread_start(poll_while_flag, &f);
    for (unsigned round = 0; round < f.rounds; round++) {
        f.round = round + 1;
        aio_notify(f.ctx);
        while (f.ended <= round) {
            if (round % 64 == 0) {
                fixture_yield(); /* it falls asleep in between, now and then */
            }
        }
    }
    fixture_thread_join(thread);
    fixture_context_free(f.ctx);
}

static int slow_job(void *opaque)
{
    fixture_sleep_ms(20);
    atomic_fetch_add((atomic_int *)opaque, 1);
    return 0;
}

static void submit_slow_job(void *opaque)
{
    AioThreadPool *pool = aio_get_thread_pool(aio_context_current());
    if (!aio_thread_pool_submit(pool, slow_job, opaque, NULL, NULL, NULL)) {
        atomic_fetch_add((atomic_int *)opaque, 100);
    }
}

static void join_waits_for_requests_in_flight(void **state)
{
    (void)state;
    AioContextOptions options = {.size = sizeof(options), .poller = fixture_poller()};
    AioThread *thread = aio_thread_start(&options, NULL);
    atomic_int done = 0;
    assert_non_null(thread);
    assert_true(aio_wait_bh(aio_thread_context(thread), submit_slow_job, &done, NULL));
    aio_thread_join(thread);
    assert_int_equal(atomic_load(&done), 1);
}

static void leave_it_ready(void *opaque)
{
    (void)opaque;
}

static void join_ends_beside_a_handler_that_is_always_ready(void **state)
{
    (void)state;
    AioContextOptions options = {.size = sizeof(options), .poller = fixture_poller()};
    AioThread *thread = aio_thread_start(&options, NULL);
    assert_non_null(thread);
    AioContext *ctx = aio_thread_context(thread);
    FixturePair pair = fixture_pair();
    AioHandlerOps ops = {.size = sizeof(ops), .write = leave_it_ready};
    aio_context_ref(ctx);
    assert_true(aio_handler_set(ctx, pair.a, fixture_pair_kind(), 0, &ops, NULL, NULL));
    aio_thread_join(thread);
    aio_context_bind(ctx);
    aio_handler_remove(ctx, pair.a, fixture_pair_kind());
    fixture_context_free(ctx);
    fixture_pair_close(&pair);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(it_runs_its_context_at_home),
    cmocka_unit_test(join_runs_what_is_left),
    cmocka_unit_test(stopping_is_asynchronous_and_repeats),
    cmocka_unit_test(a_callback_stops_its_thread),
    cmocka_unit_test(a_bottom_half_that_stops_the_run_ends_the_thread),
    cmocka_unit_test(join_ends_runs_inside_the_run),
    cmocka_unit_test(a_stop_of_the_context_inside_ends_the_thread),
    cmocka_unit_test(a_run_while_the_thread_ends_returns_at_once),
    cmocka_unit_test(a_shared_context_is_refused),
    cmocka_unit_test(each_refusal_of_memory_is_an_error),
    cmocka_unit_test(started_and_stopped_again_and_again),
    cmocka_unit_test(a_flag_and_a_notification_end_the_loop),
    cmocka_unit_test(join_waits_for_requests_in_flight),
    cmocka_unit_test(join_ends_beside_a_handler_that_is_always_ready),
};

TEST_MAIN(tests)
