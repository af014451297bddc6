/*
 * The thread pool as users see it: the one of a context, its bounds, and a function to run there, wrapped into a
 * request that embeds the pool's work. How workers are kept, and how work reaches them, is not known here.
 *
 * Invariant: a request is completed once its work is done, at home, with what the function returned or with
 * -ECANCELED where no worker had taken it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>
#include <errno.h>

#include "aioctx/error.h"
#include "core/context.h"
#include "core/error_text.h"
#include "core/request.h"
#include "core/thread_pool.h"

AioThreadPool *aio_get_thread_pool(AioContext *ctx)
{
    assert(aio__at_home(ctx));
    if (!ctx->pool) {
        ctx->pool = aio__thread_pool_new(ctx);
    }
    return ctx->pool;
}

bool aio_thread_pool_set_bounds(AioThreadPool *pool, int min, int max, AioError **errp)
{
    if (max < 1) {
        aio_error_set(errp, EINVAL, "A thread pool can't have %d workers at most", max);
        return false;
    }
    if (min < 0 || min > max) {
        aio_error_set(errp, EINVAL, "A thread pool of %d workers at most can't keep %d", max, min);
        return false;
    }
    aio__thread_pool_bound(pool, min, max);
    return true;
}

typedef struct PoolRequest {
    AioRequest request;  /* first: what users hold */
    AioThreadPool *pool; /* borrowed: outlives its requests */
    AioPoolWork work;
    AioThreadPoolFunc *func;
    void *arg; /* borrowed: until the completion */
    int ret;   /* the worker's, until the work is done */
} PoolRequest;

static PoolRequest *request_of_work(AioPoolWork *work)
{
    return AIO_CONTAINER_OF(work, PoolRequest, work);
}

static void run_request(AioPoolWork *work)
{
    PoolRequest *request = request_of_work(work);
    request->ret = request->func(request->arg);
}

static void request_done(AioPoolWork *work, bool cancelled)
{
    PoolRequest *request = request_of_work(work);
    aio_request_complete(&request->request, cancelled ? -ECANCELED : request->ret);
}

static void cancel_request(AioRequest *head)
{
    PoolRequest *request = (PoolRequest *)head;
    aio__thread_pool_cancel(request->pool, &request->work);
}

static const AioRequestInfo pool_request_info = {
    .cancel_async = cancel_request,
    .size = sizeof(PoolRequest),
};

AioRequest *aio_thread_pool_submit(AioThreadPool *pool, AioThreadPoolFunc *func, void *arg,
                                   AioCompletionFunc *cb, void *opaque, AioError **errp)
{
    PoolRequest *request =
        aio_request_get(&pool_request_info, aio__thread_pool_context(pool), cb, opaque);
    if (!request) {
        aio_error_set(errp, ENOMEM, "No memory for a request to the thread pool");
        return NULL;
    }
    request->pool = pool;
    request->work = (AioPoolWork){.run = run_request, .done = request_done};
    request->func = func;
    request->arg = arg;
    int error = aio__thread_pool_queue(pool, &request->work);
    if (error) {
        aio_error_set(errp, -error, "Can't start the first worker of the thread pool: %s",
                      aio__error_text(-error));
        aio_request_unref(request);
        return NULL;
    }
    return &request->request;
}
