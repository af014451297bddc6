/*
 * Requests of a kind of our own: their one completion, their references, and both ways to cancel.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "tests/fixture.h"

/* Completes from a bottom half, when it is told to or when it is cancelled. */
typedef struct Job {
    AioRequest request;
    AioBh *bh;
    int64_t ret;
    int cancels;
    char tail[100];
} Job;

typedef struct Log {
    int calls;
    int64_t ret;
    int refcount;    /* of the request, seen in the callback */
    bool in_cancel;  /* called from inside a cancel */
    bool cancelling; /* a cancel is on the stack */
    Job *job;
    AioContext *ctx;
} Log;

static void on_complete(void *opaque, int64_t ret)
{
    Log *log = opaque;
    log->calls++;
    log->ret = ret;
    log->in_cancel |= log->cancelling;
    if (log->job) {
        log->refcount = log->job->request.refcount;
    }
}

static void job_bh(void *opaque)
{
    Job *job = opaque;
    aio_bh_delete(job->bh);
    aio_request_complete(&job->request, job->ret);
}

static void job_cancel(AioRequest *request)
{
    Job *job = (Job *)request;
    job->cancels++;
    job->ret = -ECANCELED;
    aio_bh_schedule(job->bh);
}

static const AioRequestInfo cancellable = {.cancel_async = job_cancel, .size = sizeof(Job)};
static const AioRequestInfo uncancellable = {.size = sizeof(Job)};

static Job *job_new(const AioRequestInfo *info, AioContext *ctx, Log *log)
{
    Job *job = aio_request_get(info, ctx, on_complete, log);
    assert_non_null(job);
    job->bh = aio_bh_new(ctx, job_bh, job);
    job->ret = 7;
    job->cancels = 0;
    log->job = job;
    log->ctx = ctx;
    return job;
}

static void request_begins_with_one_reference_and_its_whole_size(AioContext *ctx)
{
    Log log = {0};
    Job *job = aio_request_get(&cancellable, ctx, on_complete, &log);
    assert_non_null(job);
    assert_int_equal(job->request.refcount, 1);
    assert_ptr_equal(job->request.info, &cancellable);
    assert_ptr_equal(job->request.ctx, ctx);
    assert_ptr_equal(job->request.opaque, &log);
    memset((char *)job + sizeof(AioRequest), 0x5a, sizeof(Job) - sizeof(AioRequest));
    aio_request_unref(job);
    assert_int_equal(log.calls, 0);
}

static void request_completes_once_and_is_freed_after_its_callback(AioContext *ctx)
{
    Log log = {0};
    Job *job = job_new(&cancellable, ctx, &log);
    aio_bh_schedule(job->bh);
    assert_int_equal(log.calls, 0);
    assert_true(drive(ctx, true));
    assert_int_equal(log.calls, 1);
    assert_int_equal(log.ret, 7);
    assert_int_equal(log.refcount, 1);
}

static void request_outlives_its_completion_by_a_reference(AioContext *ctx)
{
    Log log = {0};
    Job *job = job_new(&cancellable, ctx, &log);
    aio_request_ref(job);
    aio_bh_schedule(job->bh);
    drive(ctx, true);
    assert_int_equal(log.calls, 1);
    assert_int_equal(job->request.refcount, 1);
    aio_request_cancel_async(&job->request);
    aio_request_cancel(&job->request);
    assert_int_equal(job->cancels, 0);
    assert_int_equal(log.calls, 1);
    aio_request_unref(job);
}

static void request_without_callback_completes(AioContext *ctx)
{
    Log log = {0};
    Job *job = job_new(&cancellable, ctx, &log);
    job->request.cb = NULL;
    aio_bh_schedule(job->bh);
    assert_true(drive(ctx, true));
    assert_int_equal(log.calls, 0);
}

static void cancel_async_returns_before_the_one_completion(AioContext *ctx)
{
    Log log = {.cancelling = true};
    Job *job = job_new(&cancellable, ctx, &log);
    aio_request_cancel_async(&job->request);
    aio_request_cancel_async(&job->request);
    log.cancelling = false;
    assert_int_equal(log.calls, 0);
    assert_int_equal(job->cancels, 2);
    drive(ctx, true);
    assert_int_equal(log.calls, 1);
    assert_int_equal(log.ret, -ECANCELED);
    assert_false(log.in_cancel);
}

static void cancel_waits_for_the_completion(AioContext *ctx)
{
    Log log = {0};
    Job *job = job_new(&cancellable, ctx, &log);
    aio_request_cancel(&job->request);
    assert_int_equal(log.calls, 1);
    assert_int_equal(log.ret, -ECANCELED);
    assert_int_equal(log.refcount, 2);
}

static void cancel_of_what_cannot_be_cancelled_waits_for_the_real_result(AioContext *ctx)
{
    Log log = {0};
    Job *job = job_new(&uncancellable, ctx, &log);
    aio_request_cancel_async(&job->request);
    aio_bh_schedule(job->bh);
    aio_request_cancel(&job->request);
    assert_int_equal(log.calls, 1);
    assert_int_equal(log.ret, 7);
}

static void cancel_with_another_reference_held_returns(AioContext *ctx)
{
    Log log = {0};
    Job *job = job_new(&cancellable, ctx, &log);
    aio_request_ref(job);
    aio_request_cancel(&job->request);
    assert_int_equal(log.calls, 1);
    assert_int_equal(job->request.refcount, 1);
    aio_request_unref(job);
}

static void cancel_itself(void *opaque, int64_t ret)
{
    Log *log = opaque;
    on_complete(log, ret);
    aio_request_cancel(&log->job->request);
}

static void cancel_in_its_own_callback_returns(AioContext *ctx)
{
    Log log = {0};
    Job *job = job_new(&cancellable, ctx, &log);
    job->request.cb = cancel_itself;
    aio_bh_schedule(job->bh);
    drive(ctx, true);
    assert_int_equal(log.calls, 1);
    assert_int_equal(log.ret, 7);
}

/* A kind that lives in another context than it was made for, and does without aio_request_complete(). */
static AioContext *real_context;

static AioContext *job_context(AioRequest *request)
{
    (void)request;
    return real_context;
}

static void by_hand_bh(void *opaque)
{
    Job *job = opaque;
    aio_bh_delete(job->bh);
    job->request.cb(job->request.opaque, job->ret);
    aio_request_unref(job);
}

static void cancel_runs_the_context_that_the_request_names(void **state)
{
    (void)state;
    static const AioRequestInfo info = {
        .cancel_async = job_cancel, .get_context = job_context, .size = sizeof(Job)};
    AioContext *ctx = fixture_context();
    Log log = {0};
    real_context = ctx;
    Job *job = aio_request_get(&info, NULL, on_complete, &log);
    assert_non_null(job);
    job->bh = aio_bh_new(ctx, by_hand_bh, job);
    job->cancels = 0;
    aio_request_cancel(&job->request);
    assert_int_equal(log.calls, 1);
    assert_int_equal(log.ret, -ECANCELED);
    fixture_context_free(ctx);
}

/* Drops the last reference of its context, and lets the request complete a little later. */
typedef struct Dropper {
    AioContext *ctx;
    Job *job;
    bool dropped;
    AioTimer timer;
} Dropper;

static void complete_later(void *opaque)
{
    Dropper *dropper = opaque;
    aio_bh_schedule(dropper->job->bh);
}

static void drop_bh(void *opaque)
{
    Dropper *dropper = opaque;
    dropper->dropped = true;
    aio_context_unref(dropper->ctx);
    aio_timer_init(dropper->ctx, &dropper->timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS, complete_later,
                   dropper);
    aio_timer_mod_ns(&dropper->timer, aio_clock_get_ns(AIO_CLOCK_REALTIME) + 20000000);
}

static void last_reference_may_go_while_a_cancel_waits(void **state)
{
    (void)state;
    Log log = {0};
    Dropper dropper = {.ctx = fixture_context()};
    dropper.job = job_new(&uncancellable, dropper.ctx, &log);
    aio_bh_schedule_oneshot(dropper.ctx, drop_bh, &dropper);
    aio_request_cancel(&dropper.job->request); /* the context ends with this */
    assert_true(dropper.dropped);
    assert_int_equal(log.calls, 1);
    assert_int_equal(log.ret, 7);
}

static void last_reference_of_a_named_context_may_go_while_a_cancel_waits(void **state)
{
    (void)state;
    static const AioRequestInfo info = {.get_context = job_context, .size = sizeof(Job)};
    Log log = {0};
    Dropper dropper = {.ctx = fixture_context()};
    real_context = dropper.ctx;
    dropper.job = aio_request_get(&info, NULL, on_complete, &log);
    assert_non_null(dropper.job);
    dropper.job->bh = aio_bh_new(dropper.ctx, by_hand_bh, dropper.job);
    dropper.job->ret = 7;
    aio_bh_schedule_oneshot(dropper.ctx, drop_bh, &dropper);
    aio_request_cancel(&dropper.job->request);
    assert_true(dropper.dropped);
    assert_int_equal(log.calls, 1);
}

static void drop_on_complete(void *opaque, int64_t ret)
{
    Log *log = opaque;
    log->calls++;
    log->ret = ret;
    aio_context_unref(log->ctx);
}

static void completion_may_drop_the_context_that_a_cancel_runs(void **state)
{
    (void)state;
    Log log = {0};
    AioContext *ctx = fixture_context();
    Job *job = job_new(&cancellable, ctx, &log);
    job->request.cb = drop_on_complete;
    aio_request_cancel(&job->request);
    assert_int_equal(log.calls, 1);
    assert_int_equal(log.ret, -ECANCELED);
}

static void quiesce_waits_for_requests_in_flight(AioContext *ctx)
{
    Log log = {0};
    Job *job = job_new(&cancellable, ctx, &log);
    Job *dropped = aio_request_get(&cancellable, ctx, on_complete, &log);
    aio_request_unref(dropped); /* one that was never submitted */
    aio_bh_schedule_idle(job->bh);
    aio_quiesce_begin(ctx);
    assert_int_equal(log.calls, 1);
    aio_quiesce_end(ctx);
}

static void quiesce_and_record(void *opaque, int64_t ret)
{
    Log *log = opaque;
    aio_quiesce_begin(log->ctx);
    aio_quiesce_end(log->ctx);
    on_complete(log, ret);
}

static void completion_may_quiesce_its_context(AioContext *ctx)
{
    Log log = {0};
    Job *job = job_new(&cancellable, ctx, &log);
    job->request.cb = quiesce_and_record;
    aio_bh_schedule(job->bh);
    while (!log.calls) {
        drive(ctx, true);
    }
    assert_int_equal(log.calls, 1);
}

static void completions_are_counted(AioContext *ctx)
{
    AioContextInfo info = {.size = sizeof(info)};
    Log log = {0};
    for (int i = 0; i < 3; i++) {
        aio_request_cancel(&job_new(&cancellable, ctx, &log)->request);
    }
    aio_context_info(ctx, &info);
    assert_int_equal(info.counters.request_completions, 3);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(request_begins_with_one_reference_and_its_whole_size),
    cmocka_unit_test_home(request_completes_once_and_is_freed_after_its_callback),
    cmocka_unit_test_home(request_outlives_its_completion_by_a_reference),
    cmocka_unit_test_home(request_without_callback_completes),
    cmocka_unit_test_home(cancel_async_returns_before_the_one_completion),
    cmocka_unit_test_home(cancel_waits_for_the_completion),
    cmocka_unit_test_home(cancel_of_what_cannot_be_cancelled_waits_for_the_real_result),
    cmocka_unit_test_home(cancel_with_another_reference_held_returns),
    cmocka_unit_test_home(cancel_in_its_own_callback_returns),
    cmocka_unit_test(cancel_runs_the_context_that_the_request_names),
    cmocka_unit_test(last_reference_may_go_while_a_cancel_waits),
    cmocka_unit_test(last_reference_of_a_named_context_may_go_while_a_cancel_waits),
    cmocka_unit_test(completion_may_drop_the_context_that_a_cancel_runs),
    cmocka_unit_test_home(quiesce_waits_for_requests_in_flight),
    cmocka_unit_test_home(completion_may_quiesce_its_context),
    cmocka_unit_test_home(completions_are_counted),
};
TEST_MAIN(tests)
