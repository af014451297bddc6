/*
 * Overlapped calls that users make, as requests: each is an op of the port, and completed by a bottom half of its own, since the
 * wait that takes its packet runs no callback. Whatever becomes of a cancel, the packet comes, and it is what ends the request.
 *
 * SPDX-License-Identifier: MIT
 */
#include "aioctx/overlapped.h"

#include <assert.h>
#include <errno.h>

#include "aioctx/bh.h"
#include "aioctx/error.h"
#include "aioctx/request.h"
#include "core/context.h"
#include "core/error_text.h"
#include "win32/poller_port.h"

/*
 *            done: its packet         complete, at home
 *   STARTED ------------------> OVER -------------------> freed
 *      | start has failed: there will be no packet
 *      +--------------------> freed
 */
typedef enum OverlappedState {
    OVERLAPPED_STARTED,
    OVERLAPPED_OVER,
} OverlappedState;

typedef struct Overlapped {
    AioRequest request; /* first */
    AioPortOp op;       /* the system's while STARTED */
    OverlappedState state;
    AioHandle handle; /* borrowed: its user closes it after the completion */
    AioBh *bh;        /* owned */
} Overlapped;

static Overlapped *overlapped_of_op(AioPortOp *op)
{
    return AIO_CONTAINER_OF(op, Overlapped, op);
}

static void done(AioPortOp *op)
{
    Overlapped *self = overlapped_of_op(op);
    self->state = OVERLAPPED_OVER;
    aio_bh_schedule(self->bh);
}

static void complete(void *opaque)
{
    Overlapped *self = opaque;
    aio_bh_delete(self->bh);
    aio_request_complete(&self->request, aio__port_result(&self->op));
}

static void cancel(AioRequest *request)
{
    Overlapped *self = (Overlapped *)request;
    if (self->state == OVERLAPPED_STARTED) {
        CancelIoEx((HANDLE)self->handle, &self->op.overlapped); /* or it is over: no matter */
    }
}

static const AioRequestInfo overlapped_info = {
    .cancel_async = cancel,
    .size = sizeof(Overlapped),
};

static AioPort *port_of(const AioContext *ctx, AioError **errp)
{
    AioPort *port = aio__poller_port_of(ctx->poller);
    if (!port) {
        aio_error_set(errp, ENOTSUP, "Context '%s' has no completion port: its poller is '%s'",
                      ctx->name, ctx->poller->ops->name);
    }
    return port;
}

bool aio_overlapped_available(const AioContext *ctx)
{
    return aio__poller_port_of(ctx->poller) != NULL;
}

bool aio_overlapped_bind(AioContext *ctx, AioHandle handle, AioError **errp)
{
    assert(aio__at_home(ctx));
    AioPort *port = port_of(ctx, errp);
    if (!port) {
        return false;
    }
    int error = handle > 0 && aio__is_open((HANDLE)handle) ? 0 : -EBADF;
    if (!error && aio__port_is_skipped((HANDLE)handle)) {
        aio_error_set(errp, EINVAL,
                      "Can't bind handle %lld to context '%s': its calls may leave no packet "
                      "(FILE_SKIP_COMPLETION_PORT_ON_SUCCESS)",
                      (long long)handle, ctx->name);
        return false;
    }
    if (!error) {
        error = aio__port_attach(port, (HANDLE)handle);
    }
    if (error) {
        aio_error_set(errp, -error, "Can't bind handle %lld to context '%s': %s", (long long)handle,
                      ctx->name, aio__error_text(-error));
    }
    return !error;
}

AioRequest *aio_overlapped_submit(AioContext *ctx, AioHandle handle, AioOverlappedFunc *start,
                                  void *start_opaque, AioCompletionFunc *cb, void *opaque,
                                  AioError **errp)
{
    assert(aio__at_home(ctx));
    if (!port_of(ctx, errp)) {
        return NULL;
    }
    Overlapped *self = aio_request_get(&overlapped_info, ctx, cb, opaque);
    AioBh *bh = self ? aio_bh_new_full(ctx, complete, self, "overlapped call", NULL, errp) : NULL;
    if (!bh) {
        if (self) {
            aio_request_unref(self);
        } else {
            aio_error_set(errp, ENOMEM, "No memory for an overlapped call");
        }
        return NULL;
    }
    self->op = (AioPortOp){.done = done};
    self->state = OVERLAPPED_STARTED;
    self->handle = handle;
    self->bh = bh;
    uint32_t code = start(start_opaque, handle, &self->op.overlapped);
    if (!aio__port_expects(&self->op, code)) {
        int error = -aio__win32_error(code);
        aio_bh_delete(bh);
        aio_request_unref(self);
        aio_error_set(errp, error, "The overlapped call on handle %lld failed: %s (%lu)",
                      (long long)handle, aio__error_text(error), (unsigned long)code);
        return NULL;
    }
    return &self->request;
}
