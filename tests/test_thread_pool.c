/*
 * The thread pool: where jobs run and complete, their order, cancelling, bounds, nested polls, hammers.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "tests/fixture.h"

static _Thread_local int here; /* its address names the thread */

/* A job, what it does, and what became of it. */
typedef struct Job {
    AioContext *ctx;
    AioRequest *request;
    atomic_int *gate; /* wait until this is not 0 */
    atomic_int *running;
    atomic_int *peak;
    atomic_int *order;
    int ret;
    int place; /* in `order` */
    int *thread;
    int ran;
    int done;
    int64_t result;
    int *home;
    bool cancelling; /* a cancel is on the stack */
    bool done_in_cancel;
    struct Job *wait_for; /* in the callback, by polling */
    int *left;
} Job;

static int work(void *opaque)
{
    Job *job = opaque;
    job->thread = &here;
    if (job->running) {
        int running = atomic_fetch_add(job->running, 1) + 1;
        int peak = atomic_load(job->peak);
        while (running > peak && !atomic_compare_exchange_weak(job->peak, &peak, running)) {
            continue;
        }
    }
    if (job->order) {
        job->place = atomic_fetch_add(job->order, 1);
    }
    while (job->gate && !atomic_load(job->gate)) {
        fixture_sleep_ms(1);
    }
    if (job->running) {
        atomic_fetch_sub(job->running, 1);
    }
    job->ran++;
    return job->ret;
}

static void done(void *opaque, int64_t ret)
{
    Job *job = opaque;
    job->done++;
    job->result = ret;
    job->home = &here;
    job->done_in_cancel |= job->cancelling;
    if (job->left) {
        --*job->left;
    }
    while (job->wait_for && !job->wait_for->done) {
        drive(job->ctx, true);
    }
}

static void submit(AioContext *ctx, Job *job)
{
    AioError *error = NULL;
    job->ctx = ctx;
    job->request = aio_thread_pool_submit(aio_get_thread_pool(ctx), work, job, done, job, &error);
    assert_non_null(job->request);
    assert_null(error);
}

static void wait_for(AioContext *ctx, Job *job)
{
    while (!job->done) {
        drive(ctx, true);
    }
}

static void job_runs_in_a_worker_and_completes_at_home(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Job job = {.ret = 42};
    submit(ctx, &job);
    assert_int_equal(job.done, 0);
    wait_for(ctx, &job);
    assert_int_equal(job.ran, 1);
    assert_int_equal(job.done, 1);
    assert_int_equal(job.result, 42);
    assert_ptr_equal(job.home, &here);
    assert_ptr_not_equal(job.thread, &here);
    fixture_context_free(ctx);
}

static void pool_of_a_context_is_one(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    assert_non_null(aio_get_thread_pool(ctx));
    assert_ptr_equal(aio_get_thread_pool(ctx), aio_get_thread_pool(ctx));
    fixture_context_free(ctx);
}

static void negative_result_is_handed_on(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Job job = {.ret = -EIO};
    submit(ctx, &job);
    wait_for(ctx, &job);
    assert_int_equal(job.result, -EIO);
    fixture_context_free(ctx);
}

static int set_flag(void *opaque)
{
    atomic_store((atomic_int *)opaque, 1);
    return 0;
}

static void completion_without_callback_is_progress(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    atomic_int ran = 0;
    assert_non_null(
        aio_thread_pool_submit(aio_get_thread_pool(ctx), set_flag, &ran, NULL, NULL, NULL));
    assert_true(drive(ctx, true));
    assert_int_equal(atomic_load(&ran), 1);
    assert_false(drive(ctx, false));
    fixture_context_free(ctx);
}

static void jobs_start_in_the_order_of_their_submission(void **state)
{
    (void)state;
    enum { N = 50 };
    AioContext *ctx = fixture_context();
    AioThreadPool *pool = aio_get_thread_pool(ctx);
    Job jobs[N] = {{0}};
    atomic_int order = 0, gate = 0;
    int left = N;
    assert_true(aio_thread_pool_set_bounds(pool, 0, 1, NULL));
    for (int i = 0; i < N; i++) {
        jobs[i].order = &order;
        jobs[i].gate = &gate;
        jobs[i].left = &left;
        submit(ctx, &jobs[i]);
    }
    atomic_store(&gate, 1);
    while (left > 0) {
        drive(ctx, true);
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(jobs[i].place, i);
    }
    fixture_context_free(ctx);
}

/* Submit n jobs behind a gate, drive until `expected` of them run, and see that no more come. */
static int peak_of(AioContext *ctx, Job *jobs, int n, int expected)
{
    atomic_int gate = 0, running = 0, peak = 0;
    int left = n;
    for (int i = 0; i < n; i++) {
        jobs[i] = (Job){.gate = &gate, .running = &running, .peak = &peak, .left = &left};
        submit(ctx, &jobs[i]);
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

static void as_many_run_at_once_as_the_bounds_allow(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    AioThreadPool *pool = aio_get_thread_pool(ctx);
    static Job jobs[100];
    assert_true(aio_thread_pool_set_bounds(pool, 0, 4, NULL));
    assert_int_equal(peak_of(ctx, jobs, 20, 4), 4);
    assert_true(aio_thread_pool_set_bounds(pool, 0, 1, NULL));
    assert_int_equal(peak_of(ctx, jobs, 5, 1), 1);
    assert_true(aio_thread_pool_set_bounds(pool, 2, 64, NULL));
    assert_int_equal(peak_of(ctx, jobs, 100, 64), 64);
    fixture_context_free(ctx);
}

static void default_is_64_workers(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    static Job jobs[70];
    assert_int_equal(peak_of(ctx, jobs, 70, 64), 64);
    fixture_context_free(ctx);
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

static void cancel_takes_back_what_is_queued_and_nothing_else(void **state)
{
    (void)state;
    enum { N = 100, WORKERS = 64 };
    AioContext *ctx = fixture_context();
    static Job jobs[N];
    atomic_int gate = 0, running = 0, peak = 0;
    int left = N;
    for (int i = 0; i < N; i++) {
        jobs[i] = (Job){.gate = &gate, .running = &running, .peak = &peak, .left = &left, .ret = 5};
        submit(ctx, &jobs[i]);
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
    fixture_context_free(ctx);
}

static void synchronous_cancel_waits_for_either_result(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    atomic_int gate = 0, running = 0, peak = 0;
    assert_true(aio_thread_pool_set_bounds(aio_get_thread_pool(ctx), 0, 1, NULL));
    Job first = {.gate = &gate, .running = &running, .peak = &peak};
    Job second = {.gate = &gate};
    submit(ctx, &first);
    submit(ctx, &second);
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
    fixture_context_free(ctx);
}

static void free_job(void *opaque, int64_t ret)
{
    Job *job = opaque;
    (void)ret;
    --*job->left;
    free(job);
}

static void opaque_may_be_freed_in_the_callback_of_a_cancelled_job(void **state)
{
    (void)state;
    enum { N = 200 };
    AioContext *ctx = fixture_context();
    AioThreadPool *pool = aio_get_thread_pool(ctx);
    int left = N;
    for (int i = 0; i < N; i++) {
        Job *job = calloc(1, sizeof(*job));
        assert_non_null(job);
        job->left = &left;
        AioRequest *request = aio_thread_pool_submit(pool, work, job, free_job, job, NULL);
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
    fixture_context_free(ctx);
}

/* Two jobs that have both finished when the loop comes to look. */
static void submit_two_and_let_them_finish(AioContext *ctx, Job jobs[2])
{
    submit(ctx, &jobs[0]);
    submit(ctx, &jobs[1]);
    /* The first worker starts at once, and one is enough for both. */
    while (atomic_load(jobs[0].order) < 2) {
        fixture_sleep_ms(1);
    }
    fixture_sleep_ms(5);
}

static void callback_may_wait_for_a_job_that_finished_with_its_own(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    for (int waiting = 0; waiting < 2; waiting++) {
        atomic_int order = 0;
        Job jobs[2] = {{.order = &order}, {.order = &order}};
        jobs[waiting].wait_for = &jobs[!waiting];
        submit_two_and_let_them_finish(ctx, jobs);
        wait_for(ctx, &jobs[waiting]);
        assert_int_equal(jobs[0].done, 1);
        assert_int_equal(jobs[1].done, 1);
    }
    fixture_context_free(ctx);
}

static void each_callback_may_wait_for_the_next(void **state)
{
    (void)state;
    enum { N = 50 };
    AioContext *ctx = fixture_context();
    Job jobs[N] = {{0}};
    atomic_int order = 0;
    int left = N;
    assert_true(aio_thread_pool_set_bounds(aio_get_thread_pool(ctx), 0, 1, NULL));
    for (int i = 0; i < N; i++) {
        jobs[i].order = &order;
        jobs[i].left = &left;
        jobs[i].wait_for = i + 1 < N ? &jobs[i + 1] : NULL;
        submit(ctx, &jobs[i]);
    }
    while (atomic_load(&order) < N) {
        fixture_sleep_ms(1);
    }
    while (left > 0) {
        drive(ctx, true);
    }
    fixture_context_free(ctx);
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
    Job jobs[2] = {{.order = &order}, {.order = &order}};
    jobs[0].wait_for = &jobs[1];
    submit_two_and_let_them_finish(ctx, jobs);
    wait_for(ctx, &jobs[0]);
    assert_int_equal(jobs[1].done, 1);
    while (drive(ctx, false)) {
        continue;
    }
    aio_context_info(ctx, &info);
    uint64_t before = info.counters.iterations;
    Job last = {.gate = &gate};
    submit(ctx, &last);
    FixtureThread *opener = fixture_thread_start(open_in_50_ms, &gate);
    wait_for(ctx, &last);
    aio_context_info(ctx, &info);
    assert_true(info.counters.iterations - before < 10);
    fixture_thread_join(opener);
    fixture_context_free(ctx);
}

static void one_job_in_flight_at_a_time_never_sticks(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    for (unsigned i = 0; i < 5000 * fixture_long(); i++) {
        Job job = {.ret = (int)i};
        submit(ctx, &job);
        wait_for(ctx, &job);
        assert_int_equal(job.result, i);
    }
    fixture_context_free(ctx);
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

static void many_more_jobs_than_workers_complete(void **state)
{
    (void)state;
    enum { N = 6400 };
    AioContext *ctx = fixture_context();
    Job *jobs = calloc(N, sizeof(*jobs));
    assert_non_null(jobs);
    int left = N;
    for (int i = 0; i < N; i++) {
        jobs[i].left = &left;
        submit(ctx, &jobs[i]);
    }
    while (left > 0) {
        drive(ctx, true);
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(jobs[i].done, 1);
    }
    free(jobs);
    fixture_context_free(ctx);
}

static void pools_come_and_go_with_their_contexts(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 1000 * fixture_long(); i++) {
        AioContext *ctx = fixture_context();
        Job jobs[2] = {{0}};
        submit(ctx, &jobs[0]);
        submit(ctx, &jobs[1]);
        wait_for(ctx, &jobs[0]);
        wait_for(ctx, &jobs[1]);
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
        fixture_skip("the limit of open files is too low");
    }
    for (int i = 0; i < N; i++) {
        if (i > 0) {
            contexts[i] = fixture_context();
        }
        assert_non_null(aio_get_thread_pool(contexts[i]));
        if (i % 20 == 0) {
            Job job = {0};
            submit(contexts[i], &job);
            wait_for(contexts[i], &job);
        }
    }
    assert_int_equal(fixture_open_handles(), none + each * N);
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
        Job jobs[3] = {{0}};
        aio_context_acquire(ctx);
        for (int k = 0; k < 3; k++) {
            aio_thread_pool_submit(aio_get_thread_pool(ctx), work, &jobs[k], done, &jobs[k], NULL);
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
    Job job;
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
    submit(hand_over.ctx, &hand_over.job);
    aio_context_unbind(hand_over.ctx);
    FixtureThread *other = fixture_thread_start(complete_elsewhere, &hand_over);
    atomic_store(&gate, 1);
    fixture_thread_join(other);
    assert_int_equal(hand_over.job.done, 1);
    assert_ptr_not_equal(hand_over.job.home, &here);
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

static void last_unref(void *opaque)
{
    (void)opaque;
    static atomic_int gate;
    static Job job;
    AioContext *ctx = aio_context_new(NULL);
    job.gate = &gate;
    aio_thread_pool_submit(aio_get_thread_pool(ctx), work, &job, done, &job, NULL);
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

static void completions_end_busy_polling(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    FixturePair pair = fixture_pair();
    int polls = 0;
    AioHandlerOps ops = {.size = sizeof(ops), .read = nothing_to_read, .poll = not_ready};
    assert_true(aio_handler_set(ctx, pair.a, fixture_pair_kind(), 0, &ops, &polls, NULL));
    aio_context_set_poll_params(ctx, 1000000000, 0, 0, NULL);
    int64_t best = INT64_MAX;
    for (int i = 0; i < 20; i++) {
        Job job = {0};
        int64_t start = fixture_now_ns();
        submit(ctx, &job);
        wait_for(ctx, &job);
        int64_t took = fixture_now_ns() - start;
        best = took < best ? took : best;
    }
    assert_true(best < 1000000);
    aio_handler_remove(ctx, pair.a, fixture_pair_kind());
    fixture_pair_close(&pair);
    fixture_context_free(ctx);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(job_runs_in_a_worker_and_completes_at_home),
    cmocka_unit_test(pool_of_a_context_is_one),
    cmocka_unit_test(negative_result_is_handed_on),
    cmocka_unit_test(completion_without_callback_is_progress),
    cmocka_unit_test(jobs_start_in_the_order_of_their_submission),
    cmocka_unit_test(as_many_run_at_once_as_the_bounds_allow),
    cmocka_unit_test(default_is_64_workers),
    cmocka_unit_test(wrong_bounds_are_refused_and_named),
    cmocka_unit_test(cancel_takes_back_what_is_queued_and_nothing_else),
    cmocka_unit_test(synchronous_cancel_waits_for_either_result),
    cmocka_unit_test(opaque_may_be_freed_in_the_callback_of_a_cancelled_job),
    cmocka_unit_test(callback_may_wait_for_a_job_that_finished_with_its_own),
    cmocka_unit_test(each_callback_may_wait_for_the_next),
    cmocka_unit_test(loop_sleeps_after_a_nested_completion),
    cmocka_unit_test(one_job_in_flight_at_a_time_never_sticks),
    cmocka_unit_test(results_are_visible_at_home),
    cmocka_unit_test(many_more_jobs_than_workers_complete),
    cmocka_unit_test(pools_come_and_go_with_their_contexts),
    cmocka_unit_test(pools_take_no_descriptors),
    cmocka_unit_test(pool_of_a_shared_context_serves_whoever_holds_it),
    cmocka_unit_test(jobs_complete_in_the_home_thread_of_the_moment),
    cmocka_unit_test(workers_run_where_their_home_thread_may),
    cmocka_unit_test(freeing_a_context_with_a_job_is_fatal),
    cmocka_unit_test(completions_end_busy_polling),
};
TEST_MAIN(tests)
