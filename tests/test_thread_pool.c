/*
 * The thread pool: where jobs run and complete, their order, cancelling, bounds, nested polls.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "tests/pool_help.h"

static void job_runs_in_a_worker_and_completes_at_home(AioContext *ctx)
{
    PoolJob job = {.ret = 42};
    pool_submit(ctx, &job);
    assert_int_equal(job.done, 0);
    pool_wait(ctx, &job);
    assert_int_equal(job.ran, 1);
    assert_int_equal(job.done, 1);
    assert_int_equal(job.result, 42);
    assert_ptr_equal(job.home, pool_thread());
    assert_ptr_not_equal(job.thread, pool_thread());
}

static void pool_of_a_context_is_one(AioContext *ctx)
{
    assert_non_null(aio_get_thread_pool(ctx));
    assert_ptr_equal(aio_get_thread_pool(ctx), aio_get_thread_pool(ctx));
}

static void negative_result_is_handed_on(AioContext *ctx)
{
    PoolJob job = {.ret = -EIO};
    pool_submit(ctx, &job);
    pool_wait(ctx, &job);
    assert_int_equal(job.result, -EIO);
}

static int set_flag(void *opaque)
{
    atomic_store((atomic_int *)opaque, 1);
    return 0;
}

static void completion_without_callback_is_progress(AioContext *ctx)
{
    atomic_int ran = 0;
    assert_non_null(
        aio_thread_pool_submit(aio_get_thread_pool(ctx), set_flag, &ran, NULL, NULL, NULL));
    assert_true(drive(ctx, true));
    assert_int_equal(atomic_load(&ran), 1);
    assert_false(drive(ctx, false));
}

static void jobs_start_in_the_order_of_their_submission(AioContext *ctx)
{
    enum { N = 50 };
    AioThreadPool *pool = aio_get_thread_pool(ctx);
    PoolJob jobs[N] = {{0}};
    atomic_int order = 0, gate = 0;
    int left = N;
    assert_true(aio_thread_pool_set_bounds(pool, 0, 1, NULL));
    for (int i = 0; i < N; i++) {
        jobs[i].order = &order;
        jobs[i].gate = &gate;
        jobs[i].left = &left;
        pool_submit(ctx, &jobs[i]);
    }
    atomic_store(&gate, 1);
    while (left > 0) {
        drive(ctx, true);
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(jobs[i].place, i);
    }
}

/* Submit n jobs behind a gate, drive until `expected` of them run, and see that no more come. */
static int peak_of(AioContext *ctx, PoolJob *jobs, int n, int expected)
{
    atomic_int gate = 0, running = 0, peak = 0;
    int left = n;
    for (int i = 0; i < n; i++) {
        jobs[i] = (PoolJob){.gate = &gate, .running = &running, .peak = &peak, .left = &left};
        pool_submit(ctx, &jobs[i]);
    }
    while (atomic_load(&running) < expected) {
        drive(ctx, false);
        fixture_sleep_ms(1);
    }
    for (int i = 0; i < 5; i++) {
        drive(ctx, false);
        fixture_sleep_ms(1);
    }
    atomic_store(&gate, 1);
    while (left > 0) {
        drive(ctx, true);
    }
    return atomic_load(&peak);
}

static void as_many_run_at_once_as_the_bounds_allow(AioContext *ctx)
{
    AioThreadPool *pool = aio_get_thread_pool(ctx);
    static PoolJob jobs[100];
    assert_true(aio_thread_pool_set_bounds(pool, 0, 4, NULL));
    assert_int_equal(peak_of(ctx, jobs, 20, 4), 4);
    assert_true(aio_thread_pool_set_bounds(pool, 0, 1, NULL));
    assert_int_equal(peak_of(ctx, jobs, 5, 1), 1);
    assert_true(aio_thread_pool_set_bounds(pool, 2, 64, NULL));
    assert_int_equal(peak_of(ctx, jobs, 100, 64), 64);
}

static void default_is_64_workers(AioContext *ctx)
{
    static PoolJob jobs[70];
    assert_int_equal(peak_of(ctx, jobs, 70, 64), 64);
}

static void wrong_bounds_are_refused_and_named(void **state)
{
    (void)state;
    static const struct {
        int min, max;
        const char *text;
    } wrong[] = {{0, 0, "0"}, {-1, 4, "-1"}, {5, 4, "5"}, {0, -3, "-3"}};
    AioContext *ctx = fixture_context();
    AioThreadPool *pool = aio_get_thread_pool(ctx);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        AioError *error = NULL;
        assert_false(aio_thread_pool_set_bounds(pool, wrong[i].min, wrong[i].max, &error));
        assert_int_equal(aio_error_code(error), EINVAL);
        assert_non_null(strstr(aio_error_message(error), wrong[i].text));
        aio_error_free(error);
    }
    fixture_context_free(ctx);
}

static void cancel_takes_back_what_is_queued_and_nothing_else(AioContext *ctx)
{
    enum { N = 100, WORKERS = 64 };
    static PoolJob jobs[N];
    atomic_int gate = 0, running = 0, peak = 0;
    int left = N;
    for (int i = 0; i < N; i++) {
        jobs[i] =
            (PoolJob){.gate = &gate, .running = &running, .peak = &peak, .left = &left, .ret = 5};
        pool_submit(ctx, &jobs[i]);
    }
    while (atomic_load(&running) < WORKERS) {
        drive(ctx, false);
        fixture_sleep_ms(1);
    }
    for (int i = 0; i < N; i++) {
        jobs[i].cancelling = true;
        aio_request_cancel_async(jobs[i].request);
        jobs[i].cancelling = false;
    }
    assert_int_equal(left, N);
    atomic_store(&gate, 1);
    while (left > 0) {
        drive(ctx, true);
    }
    int cancelled = 0;
    for (int i = 0; i < N; i++) {
        assert_int_equal(jobs[i].done, 1);
        assert_false(jobs[i].done_in_cancel);
        assert_int_equal(jobs[i].result, jobs[i].ran ? 5 : -ECANCELED);
        cancelled += jobs[i].result == -ECANCELED;
    }
    assert_int_equal(cancelled, N - WORKERS);
}

static void synchronous_cancel_waits_for_either_result(AioContext *ctx)
{
    atomic_int gate = 0, running = 0, peak = 0;
    assert_true(aio_thread_pool_set_bounds(aio_get_thread_pool(ctx), 0, 1, NULL));
    PoolJob first = {.gate = &gate, .running = &running, .peak = &peak};
    PoolJob second = {.gate = &gate};
    pool_submit(ctx, &first);
    pool_submit(ctx, &second);
    while (!atomic_load(&running)) {
        fixture_sleep_ms(1);
    }
    aio_request_cancel(second.request);
    assert_int_equal(second.result, -ECANCELED);
    assert_int_equal(second.done, 1);
    assert_int_equal(second.ran, 0);
    assert_int_equal(first.done, 0);
    atomic_store(&gate, 1);
    aio_request_cancel(first.request);
    assert_int_equal(first.done, 1);
    assert_int_equal(first.result, 0);
}

static void free_job(void *opaque, int64_t ret)
{
    PoolJob *job = opaque;
    (void)ret;
    --*job->left;
    free(job);
}

static void opaque_may_be_freed_in_the_callback_of_a_cancelled_job(AioContext *ctx)
{
    enum { N = 200 };
    AioThreadPool *pool = aio_get_thread_pool(ctx);
    int left = N;
    for (int i = 0; i < N; i++) {
        PoolJob *job = calloc(1, sizeof(*job));
        assert_non_null(job);
        job->left = &left;
        AioRequest *request = aio_thread_pool_submit(pool, pool_work, job, free_job, job, NULL);
        assert_non_null(request);
        if (i % 3 != 0) {
            aio_request_cancel_async(request);
            aio_request_cancel_async(request);
        } else if (i % 2 == 0) {
            aio_request_cancel(request);
        }
    }
    while (left > 0) {
        drive(ctx, true);
    }
}

/* Two jobs that have both finished when the loop comes to look. */
static void submit_two_and_let_them_finish(AioContext *ctx, PoolJob jobs[2])
{
    pool_submit(ctx, &jobs[0]);
    pool_submit(ctx, &jobs[1]);
    /* The first worker starts at once, and one is enough for both. */
    while (atomic_load(jobs[0].order) < 2) {
        fixture_sleep_ms(1);
    }
    fixture_sleep_ms(5);
}

static void callback_may_wait_for_a_job_that_finished_with_its_own(AioContext *ctx)
{
    for (int waiting = 0; waiting < 2; waiting++) {
        atomic_int order = 0;
        PoolJob jobs[2] = {{.order = &order}, {.order = &order}};
        jobs[waiting].wait_for = &jobs[!waiting];
        submit_two_and_let_them_finish(ctx, jobs);
        pool_wait(ctx, &jobs[waiting]);
        assert_int_equal(jobs[0].done, 1);
        assert_int_equal(jobs[1].done, 1);
    }
}

static void each_callback_may_wait_for_the_next(AioContext *ctx)
{
    enum { N = 50 };
    PoolJob jobs[N] = {{0}};
    atomic_int order = 0;
    int left = N;
    assert_true(aio_thread_pool_set_bounds(aio_get_thread_pool(ctx), 0, 1, NULL));
    for (int i = 0; i < N; i++) {
        jobs[i].order = &order;
        jobs[i].left = &left;
        jobs[i].wait_for = i + 1 < N ? &jobs[i + 1] : NULL;
        pool_submit(ctx, &jobs[i]);
    }
    while (atomic_load(&order) < N) {
        fixture_sleep_ms(1);
    }
    while (left > 0) {
        drive(ctx, true);
    }
}

static void open_in_50_ms(void *opaque)
{
    fixture_sleep_ms(50);
    atomic_store((atomic_int *)opaque, 1);
}

static void loop_sleeps_after_a_nested_completion(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    AioContextInfo info = {.size = sizeof(info)};
    atomic_int order = 0, gate = 0;
    PoolJob jobs[2] = {{.order = &order}, {.order = &order}};
    jobs[0].wait_for = &jobs[1];
    submit_two_and_let_them_finish(ctx, jobs);
    pool_wait(ctx, &jobs[0]);
    assert_int_equal(jobs[1].done, 1);
    while (drive(ctx, false)) {
        continue;
    }
    aio_context_info(ctx, &info);
    uint64_t before = info.counters.iterations;
    PoolJob last = {.gate = &gate};
    pool_submit(ctx, &last);
    FixtureThread *opener = fixture_thread_start(open_in_50_ms, &gate);
    pool_wait(ctx, &last);
    aio_context_info(ctx, &info);
    assert_true(info.counters.iterations - before < 10);
    fixture_thread_join(opener);
    fixture_context_free(ctx);
}

static void last_unref(void *opaque)
{
    (void)opaque;
    static atomic_int gate;
    static PoolJob job;
    AioContext *ctx = aio_context_new(NULL);
    job.gate = &gate;
    aio_thread_pool_submit(aio_get_thread_pool(ctx), pool_work, &job, pool_done, &job, NULL);
    aio_context_unref(ctx);
}

static void freeing_a_context_with_a_job_is_fatal(void **state)
{
    (void)state;
    assert_true(fixture_dies(last_unref, NULL, "request"));
}

static bool not_ready(void *opaque)
{
    ++*(int *)opaque;
    return false;
}

static void nothing_to_read(void *opaque)
{
    (void)opaque;
}

static void completions_end_busy_polling(AioContext *ctx)
{
    FixturePair pair = fixture_pair();
    int polls = 0;
    AioHandlerOps ops = {.size = sizeof(ops), .read = nothing_to_read, .poll = not_ready};
    assert_true(aio_handler_set(ctx, pair.a, fixture_pair_kind(), 0, &ops, &polls, NULL));
    aio_context_set_poll_params(ctx, 1000000000, 0, 0, NULL);
    int64_t best = INT64_MAX;
    for (int i = 0; i < 20; i++) {
        PoolJob job = {0};
        int64_t start = fixture_now_ns();
        pool_submit(ctx, &job);
        pool_wait(ctx, &job);
        int64_t took = fixture_now_ns() - start;
        best = took < best ? took : best;
    }
    assert_true(best < 1000000);
    aio_handler_remove(ctx, pair.a, fixture_pair_kind());
    fixture_pair_close(&pair);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(job_runs_in_a_worker_and_completes_at_home),
    cmocka_unit_test_home(pool_of_a_context_is_one),
    cmocka_unit_test_home(negative_result_is_handed_on),
    cmocka_unit_test_home(completion_without_callback_is_progress),
    cmocka_unit_test_home(jobs_start_in_the_order_of_their_submission),
    cmocka_unit_test_home(as_many_run_at_once_as_the_bounds_allow),
    cmocka_unit_test_home(default_is_64_workers),
    cmocka_unit_test(wrong_bounds_are_refused_and_named),
    cmocka_unit_test_home(cancel_takes_back_what_is_queued_and_nothing_else),
    cmocka_unit_test_home(synchronous_cancel_waits_for_either_result),
    cmocka_unit_test_home(opaque_may_be_freed_in_the_callback_of_a_cancelled_job),
    cmocka_unit_test_home(callback_may_wait_for_a_job_that_finished_with_its_own),
    cmocka_unit_test_home(each_callback_may_wait_for_the_next),
    cmocka_unit_test(loop_sleeps_after_a_nested_completion),
    cmocka_unit_test(freeing_a_context_with_a_job_is_fatal),
    cmocka_unit_test_home(completions_end_busy_polling),
};
TEST_MAIN(tests)
