/*
 * What users hand to a thread pool: a function, wrapped into a request that embeds the pool's work.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <string.h>

#include "aioctx/error.h"
#include "core/thread_pool.h"

typedef struct PoolRequest {
    AioRequest request;  /* first: what users hold */
    AioThreadPool *pool; /* borrowed: outlives its requests */
    AioPoolWork work;
    AioThreadPoolFunc *func;
    void *arg;
    int ret; /* the worker's, until the work is done */
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
                      strerror(-error));
        aio_request_unref(request);
        return NULL;
    }
    return &request->request;
}
