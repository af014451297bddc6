/*
 * The thread pool in quantity, from several threads, and where its workers may run.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "tests/pool_help.h"

static void one_job_in_flight_at_a_time_never_sticks(AioContext *ctx)
{
    for (unsigned i = 0; i < 5000 * fixture_long(); i++) {
        PoolJob job = {.ret = (int)i};
        pool_submit(ctx, &job);
        pool_wait(ctx, &job);
        assert_int_equal(job.result, i);
    }
}

/* Plain memory, written by a worker and read at home, by up to 64 workers at once. */
typedef struct Hammer {
    AioContext *ctx;
    unsigned to_submit;
    unsigned in_flight;
    unsigned wrong;
} Hammer;

typedef struct HammerJob {
    Hammer *hammer;
    uint64_t in;
    uint64_t out[8];
} HammerJob;

static int hammer_work(void *opaque)
{
    HammerJob *job = opaque;
    for (unsigned i = 0; i < 8; i++) {
        job->out[i] = job->in * (i + 1);
    }
    return (int)(job->in & 0xffff);
}

static void hammer_done(void *opaque, int64_t ret)
{
    HammerJob *job = opaque;
    Hammer *hammer = job->hammer;
    hammer->wrong += ret != (int64_t)(job->in & 0xffff);
    for (unsigned i = 0; i < 8; i++) {
        hammer->wrong += job->out[i] != job->in * (i + 1);
    }
    hammer->in_flight--;
    if (hammer->to_submit == 0) {
        return;
    }
    hammer->to_submit--;
    job->in += 31;
    if (aio_thread_pool_submit(aio_get_thread_pool(hammer->ctx), hammer_work, job, hammer_done, job,
                               NULL)) {
        hammer->in_flight++;
    }
}

static void results_are_visible_at_home(void **state)
{
    (void)state;
    enum { N = 100 };
    static HammerJob jobs[N];
    AioContext *ctx = fixture_context();
    Hammer hammer = {.ctx = ctx, .to_submit = 20000 * fixture_long()};
    for (unsigned i = 0; i < N; i++) {
        jobs[i] = (HammerJob){.hammer = &hammer, .in = i};
        hammer.in_flight++;
        assert_non_null(aio_thread_pool_submit(aio_get_thread_pool(ctx), hammer_work, &jobs[i],
                                               hammer_done, &jobs[i], NULL));
    }
    while (hammer.in_flight > 0) {
        drive(ctx, true);
    }
    assert_int_equal(hammer.to_submit, 0);
    assert_int_equal(hammer.wrong, 0);
    fixture_context_free(ctx);
}

static void many_more_jobs_than_workers_complete(AioContext *ctx)
{
    enum { N = 6400 };
    PoolJob *jobs = calloc(N, sizeof(*jobs));
    assert_non_null(jobs);
    int left = N;
    for (int i = 0; i < N; i++) {
        jobs[i].left = &left;
        pool_submit(ctx, &jobs[i]);
    }
    while (left > 0) {
        drive(ctx, true);
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(jobs[i].done, 1);
    }
    free(jobs);
}

static void pools_come_and_go_with_their_contexts(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 1000 * fixture_long(); i++) {
        AioContext *ctx = fixture_context();
        PoolJob jobs[2] = {{0}};
        pool_submit(ctx, &jobs[0]);
        pool_submit(ctx, &jobs[1]);
        pool_wait(ctx, &jobs[0]);
        pool_wait(ctx, &jobs[1]);
        aio_context_unref(ctx);
    }
}

static void pools_take_no_descriptors(void **state)
{
    (void)state;
    enum { N = 1000 };
    AioContext **contexts = calloc(N, sizeof(AioContext *));
    assert_non_null(contexts);
    unsigned none = fixture_open_handles();
    contexts[0] = fixture_context();
    unsigned each = fixture_open_handles() - none;
    if (!fixture_limit_handles(none + each * N + 100)) {
        aio_context_unref(contexts[0]);
        free(contexts);
        fixture_skip("the open handles of a process can't be limited to what this needs");
    }
    for (int i = 0; i < N; i++) {
        if (i > 0) {
            contexts[i] = fixture_context();
        }
        assert_non_null(aio_get_thread_pool(contexts[i]));
        if (i % 20 == 0) {
            PoolJob job = {0};
            pool_submit(contexts[i], &job);
            pool_wait(contexts[i], &job);
        }
    }
    assert_true(fixture_handles_left(none + each * N));
    for (int i = 0; i < N; i++) {
        aio_context_unref(contexts[i]);
    }
    fixture_limit_handles(0);
    free(contexts);
}

/* Submits and completes some jobs each time that it holds the context. */
static void use_shared_context(void *opaque)
{
    AioContext *ctx = opaque;
    for (int i = 0; i < 100; i++) {
        PoolJob jobs[3] = {{0}};
        aio_context_acquire(ctx);
        for (int k = 0; k < 3; k++) {
            aio_thread_pool_submit(aio_get_thread_pool(ctx), pool_work, &jobs[k], pool_done,
                                   &jobs[k], NULL);
        }
        while (!jobs[0].done || !jobs[1].done || !jobs[2].done) {
            aio_poll(ctx, true);
        }
        aio_context_release(ctx);
    }
}

static void pool_of_a_shared_context_serves_whoever_holds_it(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context_flags(AIO_CONTEXT_SHARED);
    FixtureThread *other = fixture_thread_start(use_shared_context, ctx);
    use_shared_context(ctx);
    fixture_thread_join(other);
    aio_context_unref(ctx);
}

typedef struct HandOver {
    AioContext *ctx;
    PoolJob job;
} HandOver;

static void complete_elsewhere(void *opaque)
{
    HandOver *hand_over = opaque;
    aio_context_bind(hand_over->ctx);
    while (!hand_over->job.done) {
        aio_poll(hand_over->ctx, true);
    }
    aio_context_unbind(hand_over->ctx);
}

static void jobs_complete_in_the_home_thread_of_the_moment(void **state)
{
    (void)state;
    atomic_int gate = 0;
    HandOver hand_over = {.ctx = fixture_context(), .job = {.gate = &gate}};
    drive(hand_over.ctx, false);
    pool_submit(hand_over.ctx, &hand_over.job);
    aio_context_unbind(hand_over.ctx);
    FixtureThread *other = fixture_thread_start(complete_elsewhere, &hand_over);
    atomic_store(&gate, 1);
    fixture_thread_join(other);
    assert_int_equal(hand_over.job.done, 1);
    assert_ptr_not_equal(hand_over.job.home, pool_thread());
    fixture_context_free(hand_over.ctx);
}

typedef struct Pinned {
    bool pinned;
    int cores[3];
} Pinned;

static int count_cores(void *opaque)
{
    atomic_int *gate = opaque;
    while (!atomic_load(gate)) {
        fixture_sleep_ms(1);
    }
    return fixture_cores();
}

static void note_cores(void *opaque, int64_t ret)
{
    *(int *)opaque = (int)ret;
}

static void run_pinned(void *opaque)
{
    Pinned *pinned = opaque;
    AioContext *ctx = aio_context_new(NULL);
    atomic_int gate = 0;
    pinned->pinned = ctx && fixture_pin(0);
    if (!pinned->pinned) {
        return;
    }
    for (int i = 0; i < 3; i++) {
        aio_thread_pool_submit(aio_get_thread_pool(ctx), count_cores, &gate, note_cores,
                               &pinned->cores[i], NULL);
    }
    for (int i = 0; i < 10; i++) {
        aio_poll(ctx, false);
        fixture_sleep_ms(1);
    }
    atomic_store(&gate, 1);
    while (!pinned->cores[0] || !pinned->cores[1] || !pinned->cores[2]) {
        aio_poll(ctx, true);
    }
    aio_context_unref(ctx);
}

static void workers_run_where_their_home_thread_may(void **state)
{
    (void)state;
    Pinned pinned = {.pinned = false};
    if (fixture_cores() < 2) {
        fixture_skip("one core is all there is");
    }
    fixture_thread_join(fixture_thread_start(run_pinned, &pinned));
    if (!pinned.pinned) {
        fixture_skip("threads can't be bound to cores here");
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pinned.cores[i], 1);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(one_job_in_flight_at_a_time_never_sticks),
    cmocka_unit_test(results_are_visible_at_home),
    cmocka_unit_test_home(many_more_jobs_than_workers_complete),
    cmocka_unit_test(pools_come_and_go_with_their_contexts),
    cmocka_unit_test(pools_take_no_descriptors),
    cmocka_unit_test(pool_of_a_shared_context_serves_whoever_holds_it),
    cmocka_unit_test(jobs_complete_in_the_home_thread_of_the_moment),
    cmocka_unit_test(workers_run_where_their_home_thread_may),
};
TEST_MAIN(tests)
