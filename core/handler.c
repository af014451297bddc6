/*
 * The registrations of a context: a table by handle, and the poller's interest kept in step with it.
 *
 * Everything here is done by the home thread. Asking for a change, from whichever thread, is the business of
 * handler_change.c, and running callbacks that of handler_dispatch.c. A removed record stays linked until
 * no walk, callback, waiting thread or poller uses it; aio__handlers_reap() then frees it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/handler.h"

#include <errno.h>
#include <stdint.h>

#include "core/alloc.h"
#include "core/context.h"
#include "core/error_text.h"

#define FIRST_BUCKETS 16

/* The table. */

static size_t bucket_of(const AioHandlers *handlers, AioHandle handle, AioHandleKind kind)
{
    /* Neighbouring numbers land in neighbouring buckets: descriptors are dense. */
    return ((size_t)handle ^ ((size_t)kind << 20)) & handlers->bucket_mask;
}

AioHandler *aio__handler_find(AioHandlers *handlers, AioHandle handle, AioHandleKind kind)
{
    AioHandler *handler = handlers->buckets[bucket_of(handlers, handle, kind)];
    /* Not the spec, which the home thread may be replacing. */
    while (handler && (handler->watch.handle != handle || handler->watch.kind != kind)) {
        handler = handler->bucket_next;
    }
    return handler;
}

static void insert(AioHandlers *handlers, AioHandler *handler)
{
    AioHandler **bucket =
        &handlers->buckets[bucket_of(handlers, handler->spec.handle, handler->spec.kind)];
    handler->bucket_next = *bucket;
    *bucket = handler;
}

/* Under the lock. Where memory is refused, the chains just grow longer. */
static void grow(AioHandlers *handlers)
{
    size_t size = (handlers->bucket_mask + 1) * 2;
    AioHandler **buckets = aio__calloc(size, sizeof(*buckets));
    if (!buckets) {
        return;
    }
    aio__free(handlers->buckets);
    handlers->buckets = buckets;
    handlers->bucket_mask = size - 1;
    for (AioNode *node = aio__list_first(&handlers->all); node;
         node = aio__list_next(&handlers->all, node)) {
        if (aio__handler_of_node(node)->state != AIO_HANDLER_REMOVED) {
            insert(handlers, aio__handler_of_node(node));
        }
    }
}

static void table_add(AioHandlers *handlers, AioHandler *handler)
{
    aio__mutex_lock(&handlers->lock);
    aio__list_push(&handlers->all, &handler->node);
    insert(handlers, handler);
    size_t count = atomic_load_explicit(&handlers->count, memory_order_relaxed) + 1;
    atomic_store_explicit(&handlers->count, count, memory_order_relaxed);
    if (count > handlers->bucket_mask + 1) {
        grow(handlers);
    }
    aio__mutex_unlock(&handlers->lock);
}

static void table_remove(AioHandlers *handlers, AioHandler *handler)
{
    aio__mutex_lock(&handlers->lock);
    AioHandler **link =
        &handlers->buckets[bucket_of(handlers, handler->spec.handle, handler->spec.kind)];
    while (*link != handler) {
        link = &(*link)->bucket_next;
    }
    *link = handler->bucket_next;
    aio__list_push(&handlers->removed, &handler->removed_node);
    size_t count = atomic_load_explicit(&handlers->count, memory_order_relaxed) - 1;
    atomic_store_explicit(&handlers->count, count, memory_order_relaxed);
    aio__mutex_unlock(&handlers->lock);
}

/* The poller's interest. */

bool aio__handler_servable(AioContext *ctx, const AioHandler *handler)
{
    return handler->state == AIO_HANDLER_LIVE &&
           aio_node_check(ctx, handler->spec.flags & AIO_HANDLER_EXTERNAL);
}

static unsigned wanted(AioContext *ctx, const AioHandler *handler)
{
    const AioHandlerSpec *spec = &handler->spec;
    unsigned events = 0;
    if (!aio__handler_servable(ctx, handler)) {
        /* Where it is for being disabled, the loop may not have seen that; it is to see the end of it. */
        ctx->handlers.external_off |= handler->state == AIO_HANDLER_LIVE;
        return 0;
    }
    if (spec->ops.read || spec->notifier_read) {
        events |= AIO_WATCH_READ;
    }
    if (spec->ops.write) {
        events |= AIO_WATCH_WRITE;
    }
    if (events && (spec->flags & AIO_HANDLER_EDGE) && (ctx->poller->ops->flags & AIO_POLLER_EDGE)) {
        events |= AIO_WATCH_EDGE;
    }
    return events;
}

static void update(AioContext *ctx, AioHandler *handler, unsigned events)
{
    if (events || handler->watch.wanted) {
        aio__count(ctx, interest_updates);
    }
    ctx->poller->ops->update(ctx->poller, &handler->watch, events);
}

static void sync_interest(AioContext *ctx, AioHandler *handler)
{
    unsigned events = wanted(ctx, handler);
    if (events != handler->watch.wanted) {
        update(ctx, handler, events);
    }
}

void aio__handler_mute(AioContext *ctx, AioHandler *handler)
{
    update(ctx, handler, 0);
}

/* Applying a change. */

static bool is_unpollable(const AioHandler *handler)
{
    return handler->state == AIO_HANDLER_LIVE && !handler->spec.ops.poll;
}

void aio__handler_retire(AioContext *ctx, AioHandler *handler)
{
    AioHandlers *handlers = &ctx->handlers;
    handlers->unpollable -= is_unpollable(handler);
    handler->state = AIO_HANDLER_REMOVED;
    handler->generation++;
    table_remove(handlers, handler);
    aio__node_unlink(&handler->watch.ready_node);
    update(ctx, handler, 0); /* in any case: the poller may have a failure to report yet */
}

void aio__handler_replace(AioContext *ctx, AioHandler *handler, const AioHandlerSpec *spec)
{
    ctx->handlers.unpollable -= is_unpollable(handler);
    handler->spec = *spec;
    handler->state = AIO_HANDLER_LIVE;
    handler->poll_begun = false;
    handler->generation++;
    ctx->handlers.unpollable += is_unpollable(handler);
    aio__node_unlink(&handler->watch.ready_node); /* what was found was found for its predecessor */
    /* In any case: the number may mean another descriptor by now, and an edge may have passed. */
    update(ctx, handler, wanted(ctx, handler));
}

void aio__handler_redirect(AioContext *ctx, AioHandler *handler, AioHandlerFunc *read,
                           AioHandlerFunc *write, void *opaque)
{
    AioHandlerOps *ops = &handler->spec.ops;
    AioWatch *watch = &handler->watch;
    if (ops->read != read) {
        watch->ready &= ~(unsigned)AIO_WATCH_READ;
    }
    if (ops->write != write) {
        watch->ready &= ~(unsigned)AIO_WATCH_WRITE;
        handler->generation++; /* a dispatch that stands between read and write: not for this one */
    }
    if (!watch->ready) {
        aio__node_unlink(&watch->ready_node);
    }
    ops->read = read;
    ops->write = write;
    handler->spec.opaque = opaque;
    sync_interest(ctx, handler);
}

void aio__handler_add(AioContext *ctx, AioHandler *handler)
{
    handler->state = AIO_HANDLER_LIVE;
    ctx->handlers.unpollable += is_unpollable(handler);
    table_add(&ctx->handlers, handler);
    sync_interest(ctx, handler);
}

AioHandler *aio__handler_create(const AioHandlerSpec *spec)
{
    AioHandler *handler = aio__calloc(1, sizeof(*handler));
    if (handler) {
        handler->spec = *spec;
        handler->watch.handle = spec->handle;
        handler->watch.kind = spec->kind;
        aio__list_init(&handler->waiters);
    }
    return handler;
}

void aio__handler_free(AioHandler *handler)
{
    aio__free(handler);
}

void aio__handler_fail(AioContext *ctx, AioHandler *handler)
{
    AioError *error = NULL;
    int code = handler->watch.error;
    ctx->handlers.unpollable -= is_unpollable(handler);
    handler->state = AIO_HANDLER_FAILED;
    aio_error_set(&error, -code, "Handle %jd can't be watched: %s", (intmax_t)handler->spec.handle,
                  aio__error_text(-code));
    if (handler->spec.ops.error) {
        handler->running++;
        handler->spec.ops.error(handler->spec.opaque, code);
        handler->running--;
    }
    aio__record_error(ctx, error); /* last: whoever is told of it may remove the handler */
}

static void apply_external(AioContext *ctx)
{
    AioHandlers *handlers = &ctx->handlers;
    bool off = aio_external_disabled(ctx);
    if (off == handlers->external_off) {
        return;
    }
    handlers->external_off = off;
    for (AioNode *node = aio__list_first(&handlers->all); node;
         node = aio__list_next(&handlers->all, node)) {
        AioHandler *handler = aio__handler_of_node(node);
        if (handler->spec.flags & AIO_HANDLER_EXTERNAL) {
            sync_interest(ctx, handler);
        }
    }
}

void aio__handlers_apply(AioContext *ctx)
{
    /* Relaxed: the kick, or the lock, orders it; what is missed here comes with its own wake-up. */
    if (atomic_load_explicit(&ctx->handlers.changed, memory_order_relaxed)) {
        aio__handlers_apply_changes(ctx);
    }
    apply_external(ctx);
    if (!aio__list_empty(&ctx->handlers.removed)) {
        aio__handlers_reap(ctx);
    }
}

bool aio__handler_in_use(AioContext *ctx, const AioHandler *handler)
{
    bool held = ctx->poller && handler->watch.state != AIO_WATCH_IDLE;
    return held || handler->running > 0;
}

void aio__handlers_reap(AioContext *ctx)
{
    AioHandlers *handlers = &ctx->handlers;
    AioNode *next;
    for (AioNode *node = aio__list_first(&handlers->removed); node; node = next) {
        AioHandler *handler = aio__handler_of_removed(node);
        next = aio__list_next(&handlers->removed, node);
        if (aio__handler_in_use(ctx, handler)) {
            continue;
        }
        aio__handler_release_waiters(ctx, handler);
        aio__node_unlink(&handler->node);
        aio__node_unlink(node);
        aio__handler_free(handler);
    }
}

int aio__handlers_init(AioContext *ctx)
{
    AioHandlers *handlers = &ctx->handlers;
    handlers->buckets = aio__calloc(FIRST_BUCKETS, sizeof(AioHandler *));
    if (!handlers->buckets) {
        return -ENOMEM;
    }
    handlers->bucket_mask = FIRST_BUCKETS - 1;
    aio__mutex_init(&handlers->lock);
    aio__cond_init(&handlers->released);
    aio__list_init(&handlers->all);
    aio__list_init(&handlers->removed);
    aio__list_init(&handlers->ready);
    aio__list_init(&handlers->changes);
    return 0;
}

void aio__handlers_retire_all(AioContext *ctx)
{
    AioHandlers *handlers = &ctx->handlers;
    aio__handlers_drop_changes(handlers);
    for (AioNode *node = aio__list_first(&handlers->all); node;
         node = aio__list_next(&handlers->all, node)) {
        if (aio__handler_of_node(node)->state != AIO_HANDLER_REMOVED) {
            aio__handler_retire(ctx, aio__handler_of_node(node));
        }
    }
}

void aio__handlers_destroy(AioContext *ctx)
{
    AioHandlers *handlers = &ctx->handlers;
    aio__handlers_reap(ctx);
    aio__cond_destroy(&handlers->released);
    aio__mutex_destroy(&handlers->lock);
    aio__free(handlers->buckets);
}
