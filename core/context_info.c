/*
 * What a context tells about itself: its facts, its counters and the errors it recorded.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>
#include <string.h>

#include "core/context.h"

void aio__record_error(AioContext *ctx, AioError *error)
{
    aio__count_any(ctx, errors_recorded);
    aio__mutex_lock(&ctx->lock);
    AioContextErrorFunc *cb = ctx->error_cb;
    void *opaque = ctx->error_opaque;
    aio__mutex_unlock(&ctx->lock);
    if (cb) {
        cb(ctx, error, opaque);
    }
    aio__mutex_lock(&ctx->lock);
    if (!ctx->error) {
        ctx->error = error;
        error = NULL;
    }
    aio__mutex_unlock(&ctx->lock);
    if (error) {
        aio_error_free(error); /* the first one says what began to go wrong */
    }
}

AioError *aio_context_take_error(AioContext *ctx)
{
    aio__mutex_lock(&ctx->lock);
    AioError *error = ctx->error;
    ctx->error = NULL;
    aio__mutex_unlock(&ctx->lock);
    return error;
}

void aio_context_set_error_func(AioContext *ctx, AioContextErrorFunc *cb, void *opaque)
{
    assert(aio__at_home(ctx));
    aio__mutex_lock(&ctx->lock);
    ctx->error_opaque = opaque;
    ctx->error_cb = cb;
    aio__mutex_unlock(&ctx->lock);
}

static uint64_t value(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static AioContextCounters read_counters(const AioCounters *from)
{
    return (AioContextCounters){
        .iterations = value(&from->iterations),
        .waits = value(&from->waits),
        .sleeps = value(&from->sleeps),
        .notifier_writes = value(&from->notifier_writes),
        .drains = value(&from->drains),
        .interest_updates = value(&from->interest_updates),
        .busy_polls = value(&from->busy_polls),
        .bh_calls = value(&from->bh_calls),
        .handler_calls = value(&from->handler_calls),
        .timer_calls = value(&from->timer_calls),
        .request_completions = value(&from->request_completions),
        .co_resumes = value(&from->co_resumes),
        .errors_recorded = value(&from->errors_recorded),
    };
}

void aio_context_info(AioContext *ctx, AioContextInfo *info)
{
    size_t size = info->size < sizeof(*info) ? info->size : sizeof(*info);
    AioContextInfo all = {
        .size = info->size,
        .name = ctx->name,
        .poller = ctx->poller->ops->name,
        .pollers_refused = ctx->pollers_refused ? ctx->pollers_refused : "",
        .counters = read_counters(&ctx->counters),
        .poll_window_ns = atomic_load_explicit(&ctx->busy.window_ns, memory_order_relaxed),
        .handlers = atomic_load_explicit(&ctx->handlers.count, memory_order_relaxed),
    };
    memcpy(info, &all, size);
}
