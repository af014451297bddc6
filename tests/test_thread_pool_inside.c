/*
 * The thread pool from inside: how many workers there are and when they leave, and what happens where memory
 * or threads are refused.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "core/alloc.h"
#include "core/thread_pool.h"
#include "tests/fixture.h"

static _Thread_local int here; /* its address names the thread */

typedef struct Job {
    atomic_int *gate; /* wait until this is not 0 */
    int *thread;
    int ran;
    int done;
    int64_t ret;
} Job;

static int work(void *opaque)
{
    Job *job = opaque;
    job->thread = &here;
    while (job->gate && !atomic_load(job->gate)) {
        fixture_sleep_ms(1);
    }
    job->ran++;
    return 0;
}

static void done(void *opaque, int64_t ret)
{
    Job *job = opaque;
    job->done++;
    job->ret = ret;
}

/* Have so many workers busy at once, and then idle. */
static void grow(AioContext *ctx, int workers)
{
    AioThreadPool *pool = aio_get_thread_pool(ctx);
    atomic_int gate = 0;
    Job *jobs = calloc((size_t)workers, sizeof(*jobs));
    assert_non_null(jobs);
    for (int i = 0; i < workers; i++) {
        jobs[i].gate = &gate;
        assert_non_null(aio_thread_pool_submit(pool, work, &jobs[i], done, &jobs[i], NULL));
    }
    while (aio__thread_pool_workers(pool) < workers) {
        drive(ctx, false);
        fixture_sleep_ms(1);
    }
    atomic_store(&gate, 1);
    for (int i = 0; i < workers; i++) {
        while (!jobs[i].done) {
            drive(ctx, true);
        }
    }
    free(jobs);
}

static void wait_for_workers(AioContext *ctx, int expected)
{
    while (aio__thread_pool_workers(aio_get_thread_pool(ctx)) != expected) {
        drive(ctx, false);
        fixture_sleep_ms(1);
    }
}

static void idle_workers_leave_down_to_the_warm_ones(AioContext *ctx)
{
    AioThreadPool *pool = aio_get_thread_pool(ctx);
    assert_int_equal(aio__thread_pool_workers(pool), 0);
    aio__thread_pool_set_patience(pool, 20000000);
    grow(ctx, 8);
    wait_for_workers(ctx, 0);
    assert_true(aio_thread_pool_set_bounds(pool, 3, 8, NULL));
    wait_for_workers(ctx, 3); /* they come before there is work */
    grow(ctx, 8);
    wait_for_workers(ctx, 3);
    fixture_sleep_ms(50);
    assert_int_equal(aio__thread_pool_workers(pool), 3);
    assert_true(aio_thread_pool_set_bounds(pool, 0, 8, NULL));
    wait_for_workers(ctx, 0);
    grow(ctx, 2); /* and after all have left, work brings new ones */
}

static void lowered_bound_sends_workers_away(AioContext *ctx)
{
    AioThreadPool *pool = aio_get_thread_pool(ctx);
    grow(ctx, 10);
    assert_true(aio_thread_pool_set_bounds(pool, 0, 2, NULL));
    wait_for_workers(ctx, 2);
}

static void no_more_workers_than_jobs_are_started(AioContext *ctx)
{
    for (int i = 0; i < 500; i++) {
        Job job = {.ran = 0};
        assert_non_null(
            aio_thread_pool_submit(aio_get_thread_pool(ctx), work, &job, done, &job, NULL));
        while (!job.done) {
            drive(ctx, true);
        }
    }
    /* A worker that is on its way back to waiting can't be called yet: hence another one at times. */
    assert_in_range(aio__thread_pool_workers(aio_get_thread_pool(ctx)), 1, 8);
}

static void the_last_to_become_idle_is_called_first(AioContext *ctx)
{
    enum { WORKERS = 16, N = 200 };
    int *seen[WORKERS] = {NULL};
    int distinct = 0;
    grow(ctx, WORKERS);
    fixture_sleep_ms(5);
    for (int i = 0; i < N; i++) {
        Job job = {.ran = 0};
        assert_non_null(
            aio_thread_pool_submit(aio_get_thread_pool(ctx), work, &job, done, &job, NULL));
        while (!job.done) {
            drive(ctx, true);
        }
        int known = 0;
        while (known < distinct && seen[known] != job.thread) {
            known++;
        }
        if (known == distinct) {
            seen[distinct++] = job.thread;
        }
    }
    assert_in_range(distinct, 1, WORKERS / 2);
    assert_int_equal(aio__thread_pool_workers(aio_get_thread_pool(ctx)), WORKERS);
}

static void busy_counts_what_is_not_done(AioContext *ctx)
{
    AioThreadPool *pool = aio_get_thread_pool(ctx);
    Job job = {.ran = 0};
    assert_int_equal(aio__thread_pool_busy(pool), 0);
    aio_thread_pool_submit(pool, work, &job, done, &job, NULL);
    assert_int_equal(aio__thread_pool_busy(pool), 1);
    while (!job.done) {
        drive(ctx, true);
    }
    assert_int_equal(aio__thread_pool_busy(pool), 0);
}

static void workers_that_come_and_go_strand_no_job(AioContext *ctx)
{
    enum { AT_ONCE = 6 };
    AioThreadPool *pool = aio_get_thread_pool(ctx);
    unsigned random = 1;
    aio__thread_pool_set_patience(pool, 30000); /* about what a job takes to come home */
    for (unsigned i = 0; i < 1500 * fixture_long(); i++) {
        Job jobs[AT_ONCE] = {{0}};
        random = random * 1664525u + 1013904223u;
        int n = 1 + (int)(random >> 24) % AT_ONCE;
        int max = 1 + (int)(random >> 16) % 5;
        if (random & 0x100) {
            assert_true(aio_thread_pool_set_bounds(pool, (int)(random >> 12) % max, max, NULL));
        }
        for (int k = 0; k < n; k++) {
            assert_non_null(aio_thread_pool_submit(pool, work, &jobs[k], done, &jobs[k], NULL));
        }
        if (random & 0x200) {
            aio_thread_pool_set_bounds(pool, 0, 1 + (int)(random >> 10) % 3, NULL);
        }
        for (int k = 0; k < n; k++) {
            while (!jobs[k].done) {
                drive(ctx, true);
            }
        }
    }
}

static void refused_memory_is_an_error_or_does_no_harm(void **state)
{
    (void)state;
    bool refused = true;
    for (unsigned n = 1; refused; n++) {
        AioContext *ctx = fixture_context();
        Job job = {.ran = 0};
        AioError *error = NULL;
        aio__alloc_fail_at(n);
        AioThreadPool *pool = aio_get_thread_pool(ctx);
        AioRequest *request =
            pool ? aio_thread_pool_submit(pool, work, &job, done, &job, &error) : NULL;
        refused = aio__alloc_failed();
        aio__alloc_fail_at(0);
        if (request) {
            assert_null(error);
            while (!job.done) {
                drive(ctx, true);
            }
        } else {
            assert_true(refused);
            assert_true(!pool || aio_error_code(error) == ENOMEM);
            aio_error_free(error);
            while (drive(ctx, false)) {
                continue;
            }
            assert_int_equal(job.ran, 0);
            assert_int_equal(job.done, 0);
        }
        fixture_context_free(ctx);
        assert_true(n < 20);
    }
}

static void refused_second_thread_leaves_the_work_to_the_first(void **state)
{
    (void)state;
    enum { N = 50 };
    for (unsigned n = 1; n <= 4; n++) {
        AioContext *ctx = fixture_context();
        AioThreadPool *pool = aio_get_thread_pool(ctx);
        Job jobs[N] = {{0}};
        grow(ctx, 1);
        for (int i = 0; i < N; i++) {
            assert_non_null(aio_thread_pool_submit(pool, work, &jobs[i], done, &jobs[i], NULL));
        }
        aio__alloc_fail_at(n); /* for a worker started by a bottom half or by another worker */
        for (int i = 0; i < N; i++) {
            while (!jobs[i].done) {
                drive(ctx, true);
            }
            assert_int_equal(jobs[i].ret, 0);
        }
        aio__alloc_fail_at(0);
        fixture_context_free(ctx);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(idle_workers_leave_down_to_the_warm_ones),
    cmocka_unit_test_home(lowered_bound_sends_workers_away),
    cmocka_unit_test_home(no_more_workers_than_jobs_are_started),
    cmocka_unit_test_home(the_last_to_become_idle_is_called_first),
    cmocka_unit_test_home(busy_counts_what_is_not_done),
    cmocka_unit_test_home(workers_that_come_and_go_strand_no_job),
    cmocka_unit_test(refused_memory_is_an_error_or_does_no_harm),
    cmocka_unit_test(refused_second_thread_leaves_the_work_to_the_first),
};
TEST_MAIN(tests)
