/*
 * Requests: operations that end later, and the one contract of their cancellation.
 *
 * Every request completes exactly once, in its context's home thread and never from inside the call
 * that submitted or cancelled it. Cancelling is a request, too: the completion still comes, with
 * -ECANCELED or with the real result. A reference is dropped after the completion callback; the caller's
 * pointer is good until then, longer only with a reference of its own.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_REQUEST_H
#define AIOCTX_REQUEST_H

#include "aioctx/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One kind of request, for those who make their own. Constant; outlives its requests. */
typedef struct AioRequestInfo {
    void (*cancel_async)(AioRequest *request);       /* NULL: can't be cancelled */
    AioContext *(*get_context)(AioRequest *request); /* NULL: that of aio_request_get() */
    size_t size;                                     /* of the struct that begins with AioRequest */
} AioRequestInfo;

/* The head of every request. Read-only for users. */
struct AioRequest {
    const AioRequestInfo *info; /* borrowed: constant */
    AioContext *ctx;            /* borrowed: outlives this; may be NULL */
    AioCompletionFunc *cb;
    void *opaque; /* borrowed: until the completion */
    int refcount;
    int state; /* private */
};

/*
 * A request of info->size bytes with one reference, that of its making. Only the head is initialised. It
 * counts as being in flight in `ctx` (which may be NULL, with get_context) until it completes or is freed.
 * Returns NULL where memory is refused.
 *
 * Thread: home
 */
AIO_EXPORT void *aio_request_get(const AioRequestInfo *info, AioContext *ctx, AioCompletionFunc *cb,
                                 void *opaque);

/*
 * Take one more reference.
 *
 * Thread: home
 */
AIO_EXPORT void aio_request_ref(void *request);

/*
 * Drop a reference; the last one frees it.
 *
 * Thread: home
 */
AIO_EXPORT void aio_request_unref(void *request);

/*
 * Complete a request: run its callback (where it has one), then drop the reference of its making. For those
 * who make their own kinds of request; once for each, and not from inside its cancel_async.
 *
 * Thread: home
 */
AIO_EXPORT void aio_request_complete(AioRequest *request, int64_t ret);

/*
 * Ask for cancellation and return at once. Nothing happens where the request has completed, or its kind
 * can't be cancelled.
 *
 * Thread: home
 */
AIO_EXPORT void aio_request_cancel_async(AioRequest *request);

/*
 * Ask for cancellation and run the request's context until it has completed, callback included. Returns at
 * once in the request's own callback.
 *
 * Thread: home, no coroutine
 */
AIO_EXPORT void aio_request_cancel(AioRequest *request);

#ifdef __cplusplus
}
#endif

#endif
