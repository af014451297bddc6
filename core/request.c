/*
 * Requests: their memory, their one completion and the two ways of asking for a cancellation.
 *
 * Nothing here knows what a request does. The invariant kept is that of the count in the context: it is the
 * number of requests that were made and are neither completing nor freed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/request.h"

#include <assert.h>

#include "core/alloc.h"
#include "core/context.h"

static AioContext *context_of(AioRequest *request)
{
    return request->info->get_context ? request->info->get_context(request) : request->ctx;
}

/* At home only, while it is in flight and keeps its context; later there may be none left to ask. */
static void check_touch(const AioRequest *request)
{
    bool in_flight = request->ctx && (request->state == AIO_REQUEST_PENDING ||
                                      request->state == AIO_REQUEST_CANCELLING);
    assert(!in_flight || aio__at_home(request->ctx));
    (void)in_flight;
}

void *aio__request_get(const AioRequestInfo *info, size_t size, AioContext *ctx,
                       AioCompletionFunc *cb, void *opaque)
{
    assert(size >= sizeof(AioRequest));
    assert(!ctx || aio__at_home(ctx));
    AioRequest *request = aio__malloc(size);
    if (!request) {
        return NULL;
    }
    *request = (AioRequest){
        .info = info,
        .ctx = ctx,
        .cb = cb,
        .opaque = opaque,
        .refcount = 1,
        .state = AIO_REQUEST_PENDING,
    };
    if (ctx) {
        ctx->requests_in_flight++;
    }
    return request;
}

void *aio_request_get(const AioRequestInfo *info, AioContext *ctx, AioCompletionFunc *cb,
                      void *opaque)
{
    return aio__request_get(info, info->size, ctx, cb, opaque);
}

void aio_request_ref(void *request)
{
    AioRequest *head = request;
    check_touch(head);
    head->refcount++;
}

static void leave_flight(AioRequest *request)
{
    if (request->ctx) {
        assert(request->ctx->requests_in_flight > 0);
        request->ctx->requests_in_flight--;
    }
}

void aio_request_unref(void *request)
{
    AioRequest *head = request;
    check_touch(head);
    assert(head->refcount > 0);
    if (--head->refcount > 0) {
        return;
    }
    if (head->state == AIO_REQUEST_PENDING) {
        leave_flight(head);
    }
    aio__free(head);
}

void aio_request_complete(AioRequest *request, int64_t ret)
{
    assert(request->state == AIO_REQUEST_PENDING);
    check_touch(request);
    request->state = AIO_REQUEST_COMPLETING;
    /* Before the callback, which may wait until nothing is in flight. */
    leave_flight(request);
    if (request->ctx) {
        aio__count(request->ctx, request_completions);
    }
    if (request->cb) {
        request->cb(request->opaque, ret);
    }
    request->state = AIO_REQUEST_DONE;
    aio_request_unref(request);
}

void aio_request_cancel_async(AioRequest *request)
{
    check_touch(request);
    if (request->state != AIO_REQUEST_PENDING || !request->info->cancel_async) {
        return;
    }
    aio_request_ref(
        request); /* a maker that does without aio_request_complete() may drop its own */
    request->state = AIO_REQUEST_CANCELLING;
    request->info->cancel_async(request);
    request->state = AIO_REQUEST_PENDING;
    aio_request_unref(request);
}

void aio_request_cancel(AioRequest *request)
{
    AioContext *ctx = NULL; /* a reference: a callback may drop the last other one */
    aio_request_ref(request);
    aio_request_cancel_async(request);
    /*
     * A maker of requests may call the callback and drop the reference by itself, so the count is looked at,
     * too. A request that is completing already has this call in its own callback: waiting would never end.
     */
    while (request->state == AIO_REQUEST_PENDING && request->refcount > 1) {
        AioContext *named = context_of(request);
        if (named != ctx) {
            aio_context_ref(named);
            if (ctx) {
                aio_context_unref(ctx);
            }
            ctx = named;
        }
        aio_poll(ctx, true);
    }
    aio_request_unref(request);
    if (ctx) {
        aio_context_unref(ctx);
    }
}
