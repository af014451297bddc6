/*
 * Running the callbacks of handlers that a wait found ready.
 *
 * The ready list belongs to the context, not to an iteration: a nested one runs what the outer one found and has
 * not run yet. Each watch leaves the list before its callbacks run and comes back only by another
 * wait, so each runs once at most for each wait.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/context.h"
#include "core/handler.h"

/* Hang-ups and errors are news for a reader; an error, not a hang-up, is for a writer, too. */
#define READ_EVENTS (AIO_WATCH_READ | AIO_WATCH_HUP | AIO_WATCH_ERROR)
#define WRITE_EVENTS (AIO_WATCH_WRITE | AIO_WATCH_ERROR)

static bool wants_read(const AioHandler *handler, unsigned events)
{
    return (events & READ_EVENTS) && (handler->spec.ops.read || handler->spec.notifier_read);
}

static bool wants_write(const AioHandler *handler, unsigned events)
{
    return (events & WRITE_EVENTS) && handler->spec.ops.write;
}

/*
 * Whether there is something to do about what was found. Where not, the handler leaves the poller, since the system
 * would report the same again and again.
 */
static bool matters(AioContext *ctx, AioHandler *handler, unsigned events)
{
    if (events & AIO_WATCH_FAILED) {
        return true;
    }
    if (!aio__handler_servable(ctx, handler)) {
        /* Disabled since the wait began; asked for anew when it is enabled. */
        aio__handler_mute(ctx, handler);
        ctx->handlers.external_off = true;
        return false;
    }
    if (!wants_read(handler, events) && !wants_write(handler, events)) {
        aio__handler_mute(ctx, handler); /* a hang-up that only a reader would hear */
        return false;
    }
    return true;
}

/*
 * The read callback, or another thread, may have replaced, removed or disabled the handler; and where a nested
 * iteration served it, what this one found is out of date.
 */
static bool still_writes(AioContext *ctx, AioHandler *handler, unsigned generation)
{
    if (atomic_load_explicit(&ctx->handlers.changed, memory_order_relaxed)) {
        aio__handlers_apply(ctx);
    }
    return handler->generation == generation && matters(ctx, handler, AIO_WATCH_WRITE);
}

static unsigned run_callbacks(AioContext *ctx, AioHandler *handler, unsigned events)
{
    unsigned generation = ++handler->generation;
    unsigned calls = 0;
    bool writes = wants_write(handler, events);
    handler->running++;
    if (wants_read(handler, events)) {
        aio__count(ctx, handler_calls);
        aio__handler_call(handler, handler->spec.ops.read, handler->spec.notifier_read);
        calls++;
        writes = writes && still_writes(ctx, handler, generation);
    }
    if (writes) {
        aio__count(ctx, handler_calls);
        handler->spec.ops.write(handler->spec.opaque);
        calls++;
    }
    handler->running--;
    return calls;
}

static unsigned dispatch_one(AioContext *ctx, AioHandler *handler)
{
    unsigned events = handler->watch.ready;
    if (!matters(ctx, handler, events)) {
        /* What won't be told again is kept for when somebody is there for it. */
        handler->watch.ready &= events & AIO_WATCH_ONCE ? ~0u : 0;
        return 0;
    }
    handler->watch.ready = 0;
    if (events & AIO_WATCH_FAILED) {
        aio__handler_fail(ctx, handler);
        return 1;
    }
    return run_callbacks(ctx, handler, events);
}

unsigned aio__handlers_dispatch(AioContext *ctx)
{
    AioHandlers *handlers = &ctx->handlers;
    unsigned calls = 0;
    while (!aio__list_empty(&handlers->ready)) {
        /* Relaxed: what is missed here was asked for while the callback below runs. */
        if (atomic_load_explicit(&handlers->changed, memory_order_relaxed)) {
            aio__handlers_apply(ctx);
        }
        AioNode *node = aio__list_pop(&handlers->ready);
        if (node) {
            calls += dispatch_one(ctx, aio__handler_of_watch(aio__watch_of_ready(node)));
        }
    }
    if (!aio__list_empty(&handlers->removed)) {
        aio__handlers_reap(ctx);
    }
    return calls;
}

bool aio__handlers_ready(AioContext *ctx)
{
    AioNode *node;
    while ((node = aio__list_first(&ctx->handlers.ready))) {
        AioWatch *watch = aio__watch_of_ready(node);
        if (matters(ctx, aio__handler_of_watch(watch), watch->ready)) {
            return true;
        }
        aio__node_unlink(node);
    }
    return false;
}

void aio__handlers_forget_level(AioContext *ctx)
{
    AioList *ready = &ctx->handlers.ready;
    AioNode *next;
    for (AioNode *node = aio__list_first(ready); node; node = next) {
        AioWatch *watch = aio__watch_of_ready(node);
        next = aio__list_next(ready, node);
        if (!(watch->wanted & AIO_WATCH_EDGE) &&
            !(watch->ready & (AIO_WATCH_FAILED | AIO_WATCH_ONCE))) {
            aio__node_unlink(node);
        }
    }
}
