/*
 * Overlapped calls, in a build that has none: on another system than Windows, and there without the poller
 * `port`. All are refused.
 *
 * SPDX-License-Identifier: MIT
 */
#include "aioctx/overlapped.h"

#include <errno.h>

#include "aioctx/error.h"

static void refuse(AioError **errp)
{
    aio_error_set(errp, ENOTSUP, "There are no overlapped calls in this build");
}

bool aio_overlapped_available(const AioContext *ctx)
{
    (void)ctx;
    return false;
}

bool aio_overlapped_bind(AioContext *ctx, AioHandle handle, AioError **errp)
{
    (void)ctx, (void)handle;
    refuse(errp);
    return false;
}

AioRequest *aio_overlapped_submit(AioContext *ctx, AioHandle handle, AioOverlappedFunc *start,
                                  void *start_opaque, AioCompletionFunc *cb, void *opaque,
                                  AioError **errp)
{
    (void)ctx, (void)handle, (void)start, (void)start_opaque, (void)cb, (void)opaque;
    refuse(errp);
    return NULL;
}
