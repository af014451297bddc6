/*
 * The public calls about handlers: checking what comes in, and the older forms in terms of the native one.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "core/context.h"
#include "core/error_text.h"
#include "core/handler.h"

#define ALL_FLAGS (AIO_HANDLER_EDGE | AIO_HANDLER_EXTERNAL)

/* Whether an AioHandlerOps of this or an earlier version can be so long: whole members, one at least. */
static bool is_ops_size(size_t size)
{
    const size_t first = offsetof(AioHandlerOps, read);
    const size_t member = offsetof(AioHandlerOps, write) - first;
    return size > first && size <= sizeof(AioHandlerOps) && (size - first) % member == 0;
}

static bool is_registered(AioContext *ctx, const AioHandlerSpec *spec)
{
    aio__mutex_lock(&ctx->handlers.lock);
    bool found = aio__handler_find(&ctx->handlers, spec->handle, spec->kind);
    aio__mutex_unlock(&ctx->handlers.lock);
    return found;
}

static bool check(AioContext *ctx, AioHandlerSpec *spec, AioError **errp)
{
    int error = aio__handle_check(spec->handle, &spec->kind);
    if (error == -EBADF && aio__handler_spec_empty(spec) && is_registered(ctx, spec)) {
        error = 0; /* it was closed before it was removed */
    }
    if (error) {
        aio_error_set(errp, -error, "Handle %jd of kind %d can't be watched: %s",
                      (intmax_t)spec->handle, (int)spec->kind, aio__error_text(-error));
        return false;
    }
    if (spec->flags & ~(unsigned)ALL_FLAGS) {
        aio_error_set(errp, EINVAL, "Unknown flags %#x for the handler of handle %jd",
                      spec->flags & ~(unsigned)ALL_FLAGS, (intmax_t)spec->handle);
        return false;
    }
    return true;
}

bool aio_handler_set(AioContext *ctx, AioHandle handle, AioHandleKind kind, unsigned flags,
                     const AioHandlerOps *ops, void *opaque, AioError **errp)
{
    AioHandlerSpec spec = {.handle = handle, .kind = kind, .flags = flags, .opaque = opaque};
    if (ops) {
        if (!is_ops_size(ops->size)) {
            aio_error_set(errp, EINVAL, "AioHandlerOps of %zu bytes is not known here", ops->size);
            return false;
        }
        memcpy(&spec.ops, ops, ops->size);
    }
    return check(ctx, &spec, errp) && aio__handler_change(ctx, &spec, errp);
}

void aio_handler_remove(AioContext *ctx, AioHandle handle, AioHandleKind kind)
{
    AioError *error = NULL;
    if (!aio_handler_set(ctx, handle, kind, 0, NULL, NULL, &error)) {
        aio__record_error(ctx, error);
    }
}

/* For the forms that return nothing. */
static void change_or_record(AioContext *ctx, AioHandlerSpec *spec)
{
    AioError *error = NULL;
    if (!check(ctx, spec, &error) || !aio__handler_change(ctx, spec, &error)) {
        aio__record_error(ctx, error);
    }
}

void aio_set_fd_handler(AioContext *ctx, int fd, bool is_external, AioHandlerFunc *io_read,
                        AioHandlerFunc *io_write, AioPollFn *io_poll, void *opaque)
{
    AioHandlerSpec spec = {
        .handle = fd,
        .kind = AIO_HANDLE_SOCKET,
        .flags = is_external ? AIO_HANDLER_EXTERNAL : 0,
        .ops = {.read = io_read, .write = io_write, .poll = io_poll},
        .opaque = opaque,
    };
    change_or_record(ctx, &spec);
}

void aio_set_event_notifier(AioContext *ctx, AioNotifier *notifier, bool is_external,
                            AioNotifierFunc *io_read, AioPollFn *io_poll)
{
    AioHandlerSpec spec = {
        .handle = aio_notifier_handle(notifier),
        .kind = aio_notifier_handle_kind(),
        .flags = is_external ? AIO_HANDLER_EXTERNAL : 0,
        .ops = {.poll = io_poll},
        .notifier_read = io_read,
        .opaque = notifier,
    };
    change_or_record(ctx, &spec);
}

static void set_brackets(AioContext *ctx, AioHandlerSpec spec)
{
    AioError *error = NULL;
    assert(aio__at_home(ctx));
    if (aio__handle_check(spec.handle, &spec.kind) == 0 &&
        !aio__handler_set_brackets(ctx, &spec, &error)) {
        aio__record_error(ctx, error);
    }
}

void aio_set_fd_poll(AioContext *ctx, int fd, AioHandlerFunc *io_poll_begin,
                     AioHandlerFunc *io_poll_end)
{
    set_brackets(ctx, (AioHandlerSpec){.handle = fd,
                                       .kind = AIO_HANDLE_SOCKET,
                                       .ops.poll_begin = io_poll_begin,
                                       .ops.poll_end = io_poll_end});
}

void aio_set_event_notifier_poll(AioContext *ctx, AioNotifier *notifier,
                                 AioNotifierFunc *io_poll_begin, AioNotifierFunc *io_poll_end)
{
    set_brackets(ctx, (AioHandlerSpec){.handle = aio_notifier_handle(notifier),
                                       .kind = aio_notifier_handle_kind(),
                                       .notifier_poll_begin = io_poll_begin,
                                       .notifier_poll_end = io_poll_end});
}

void aio_disable_external(AioContext *ctx)
{
    /* Relaxed: it does not wait for what runs; who needs that drains afterwards. */
    atomic_fetch_add_explicit(&ctx->handlers.external_disabled, 1, memory_order_relaxed);
}

void aio_enable_external(AioContext *ctx)
{
    /* Release: pairs with aio_external_disabled(), for a loop that sees it before it is kicked. */
    unsigned before =
        atomic_fetch_sub_explicit(&ctx->handlers.external_disabled, 1, memory_order_release);
    assert(before > 0);
    if (before == 1) {
        aio__kick(ctx);
    }
}

bool aio_external_disabled(AioContext *ctx)
{
    /* Acquire: pairs with aio_enable_external(). What was written before is seen by the handlers. */
    return atomic_load_explicit(&ctx->handlers.external_disabled, memory_order_acquire) > 0;
}

bool aio_node_check(AioContext *ctx, bool is_external)
{
    return !is_external || !aio_external_disabled(ctx);
}
