/*
 * The registrations of a context: a table by handle, and the poller's interest kept in step with it.
 *
 * Everything is changed by the home thread. Another thread's change is copied and queued, with all memory that it
 * may need, and applied in order before the loop waits or runs a callback; since the home thread applies
 * what is queued before any change of its own, all changes happen in one order, and a descriptor that is
 * closed and reused in between inherits nothing. Running callbacks is the business of handler_dispatch.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/handler.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "core/alloc.h"
#include "core/context.h"

#define FIRST_BUCKETS 16

/* A thread in aio_handler_remove_wait(); on its stack. */
typedef struct Waiter {
    AioNode node;
    bool done; /* under the lock */
} Waiter;

/* What another thread asked for. */
typedef struct Change {
    AioNode node;
    AioHandlerSpec spec;
    AioHandler *fresh; /* owned: for a handle that is not registered yet; NULL for a removal */
    Waiter *waiter;    /* borrowed until done; NULL */
} Change;

static Change *change_of_node(AioNode *node)
{
    return AIO_CONTAINER_OF(node, Change, node);
}

static Waiter *waiter_of_node(AioNode *node)
{
    return AIO_CONTAINER_OF(node, Waiter, node);
}

bool aio__handler_spec_empty(const AioHandlerSpec *spec)
{
    return !spec->ops.read && !spec->notifier_read && !spec->ops.write && !spec->ops.poll;
}

static bool same_handle(const AioHandlerSpec *spec, AioHandle handle, AioHandleKind kind)
{
    return spec->handle == handle && spec->kind == kind;
}

/* The table. */

static size_t bucket_of(const AioHandlers *handlers, AioHandle handle, AioHandleKind kind)
{
    /* Neighbouring numbers land in neighbouring buckets: descriptors are dense. */
    return ((size_t)handle ^ ((size_t)kind << 20)) & handlers->bucket_mask;
}

static AioHandler *find(AioHandlers *handlers, AioHandle handle, AioHandleKind kind)
{
    AioHandler *handler = handlers->buckets[bucket_of(handlers, handle, kind)];
    while (handler && !same_handle(&handler->spec, handle, kind)) {
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

/* With `again` the poller is told of an unchanged interest, too, so that an edge is not missed. */
static void sync_interest(AioContext *ctx, AioHandler *handler, bool again)
{
    unsigned events = wanted(ctx, handler);
    if (events != handler->watch.wanted || (again && (events & AIO_WATCH_EDGE))) {
        ctx->poller->ops->update(ctx->poller, &handler->watch, events);
        aio__count(ctx, interest_updates);
    }
}

void aio__handler_mute(AioContext *ctx, AioHandler *handler)
{
    if (handler->watch.wanted) {
        ctx->poller->ops->update(ctx->poller, &handler->watch, 0);
        aio__count(ctx, interest_updates);
    }
}

/* Applying a change, in the home thread. */

static bool is_unpollable(const AioHandler *handler)
{
    return handler->state == AIO_HANDLER_LIVE && !handler->spec.ops.poll;
}

static void retire(AioContext *ctx, AioHandler *handler)
{
    AioHandlers *handlers = &ctx->handlers;
    handlers->unpollable -= is_unpollable(handler);
    handler->state = AIO_HANDLER_REMOVED;
    handler->generation++;
    table_remove(handlers, handler);
    aio__node_unlink(&handler->watch.ready_node);
    sync_interest(ctx, handler, false);
}

static void replace(AioContext *ctx, AioHandler *handler, const AioHandlerSpec *spec)
{
    ctx->handlers.unpollable -= is_unpollable(handler);
    handler->spec = *spec;
    handler->state = AIO_HANDLER_LIVE;
    handler->poll_begun = false;
    handler->generation++;
    ctx->handlers.unpollable += is_unpollable(handler);
    aio__node_unlink(&handler->watch.ready_node); /* what was found was found for its predecessor */
    sync_interest(ctx, handler, true);
}

static void add(AioContext *ctx, AioHandler *handler)
{
    handler->state = AIO_HANDLER_LIVE;
    ctx->handlers.unpollable += is_unpollable(handler);
    table_add(&ctx->handlers, handler);
    sync_interest(ctx, handler, false);
}

static AioHandler *handler_create(const AioHandlerSpec *spec)
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

void aio__handler_fail(AioContext *ctx, AioHandler *handler)
{
    AioError *error = NULL;
    int code = handler->watch.error;
    ctx->handlers.unpollable -= is_unpollable(handler);
    handler->state = AIO_HANDLER_FAILED;
    aio_error_set(&error, -code, "Handle %jd can't be watched: %s", (intmax_t)handler->spec.handle,
                  strerror(-code));
    aio__record_error(ctx, error);
    if (handler->spec.ops.error) {
        handler->running++;
        handler->spec.ops.error(handler->spec.opaque, code);
        handler->running--;
    }
}

/* Let a thread in aio_handler_remove_wait() wait for the record that it means, or go on at once. */
static void attach_waiter(AioHandlers *handlers, const AioHandlerSpec *spec, Waiter *waiter)
{
    for (AioNode *node = handlers->removed.head.prev; node != &handlers->removed.head;
         node = node->prev) {
        AioHandler *handler = aio__handler_of_removed(node);
        if (same_handle(&handler->spec, spec->handle, spec->kind)) {
            aio__list_push(&handler->waiters, &waiter->node);
            return;
        }
    }
    aio__mutex_lock(&handlers->lock);
    waiter->done = true;
    aio__cond_broadcast(&handlers->released);
    aio__mutex_unlock(&handlers->lock);
}

static void apply_change(AioContext *ctx, Change *change)
{
    AioHandlers *handlers = &ctx->handlers;
    AioHandler *handler = find(handlers, change->spec.handle, change->spec.kind);
    if (!change->fresh) {
        if (handler) {
            retire(ctx, handler);
        }
        if (change->waiter) {
            attach_waiter(handlers, &change->spec, change->waiter);
        }
    } else if (handler) {
        replace(ctx, handler, &change->spec);
        aio__free(change->fresh);
    } else {
        change->fresh->spec = change->spec; /* aio__handler_edit() may have changed it */
        add(ctx, change->fresh);
    }
    aio__free(change);
}

static void apply_changes(AioContext *ctx)
{
    AioHandlers *handlers = &ctx->handlers;
    AioList taken;
    AioNode *node;
    aio__list_init(&taken);
    aio__mutex_lock(&handlers->lock);
    aio__list_splice(&taken, &handlers->changes);
    atomic_store_explicit(&handlers->changed, false, memory_order_relaxed);
    aio__mutex_unlock(&handlers->lock);
    while ((node = aio__list_pop(&taken))) {
        apply_change(ctx, change_of_node(node));
    }
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
            sync_interest(ctx, handler, true);
        }
    }
}

void aio__handlers_apply(AioContext *ctx)
{
    /* Relaxed: the kick, or the lock, orders it; what is missed here comes with its own wake-up. */
    if (atomic_load_explicit(&ctx->handlers.changed, memory_order_relaxed)) {
        apply_changes(ctx);
    }
    apply_external(ctx);
    if (!aio__list_empty(&ctx->handlers.removed)) {
        aio__handlers_reap(ctx);
    }
}

void aio__handlers_reap(AioContext *ctx)
{
    AioHandlers *handlers = &ctx->handlers;
    AioNode *next;
    for (AioNode *node = aio__list_first(&handlers->removed); node; node = next) {
        AioHandler *handler = aio__handler_of_removed(node);
        next = aio__list_next(&handlers->removed, node);
        bool held = ctx->poller && handler->watch.state != AIO_WATCH_IDLE;
        if (held || handler->running > 0) {
            continue; /* the system or a callback further out still uses it */
        }
        if (!aio__list_empty(&handler->waiters)) {
            AioNode *waiter;
            aio__mutex_lock(&handlers->lock);
            while ((waiter = aio__list_pop(&handler->waiters))) {
                waiter_of_node(waiter)->done = true;
            }
            aio__cond_broadcast(&handlers->released);
            aio__mutex_unlock(&handlers->lock);
        }
        if (handlers->walkers == 0) {
            aio__node_unlink(&handler->node);
            aio__node_unlink(node);
            aio__free(handler);
        }
    }
}

/* Asking for a change, from any thread. */

static bool change_at_home(AioContext *ctx, const AioHandlerSpec *spec, AioError **errp)
{
    if (atomic_load_explicit(&ctx->handlers.changed, memory_order_relaxed)) {
        apply_changes(ctx);
    }
    AioHandler *handler = find(&ctx->handlers, spec->handle, spec->kind);
    if (aio__handler_spec_empty(spec)) {
        if (handler) {
            retire(ctx, handler);
            aio__kick(ctx);
        }
        return true;
    }
    if (handler) {
        replace(ctx, handler, spec);
    } else {
        handler = handler_create(spec);
        if (!handler) {
            aio_error_set(errp, ENOMEM, "No memory for a handler of handle %jd",
                          (intmax_t)spec->handle);
            return false;
        }
        add(ctx, handler);
    }
    aio__kick(ctx);
    return true;
}

/* The last change queued for a handle. Under the lock. */
static Change *find_change(AioHandlers *handlers, AioHandle handle, AioHandleKind kind)
{
    for (AioNode *node = handlers->changes.head.prev; node != &handlers->changes.head;
         node = node->prev) {
        if (same_handle(&change_of_node(node)->spec, handle, kind)) {
            return change_of_node(node);
        }
    }
    return NULL;
}

/* Whether a handle will be registered when all that is queued is applied. Under the lock. */
static bool will_exist(AioHandlers *handlers, const AioHandlerSpec *spec)
{
    Change *change = find_change(handlers, spec->handle, spec->kind);
    return change ? change->fresh != NULL : find(handlers, spec->handle, spec->kind) != NULL;
}

static bool change_from_elsewhere(AioContext *ctx, const AioHandlerSpec *spec, Waiter *waiter,
                                  AioError **errp)
{
    AioHandlers *handlers = &ctx->handlers;
    bool removes = aio__handler_spec_empty(spec);
    Change *change = aio__calloc(1, sizeof(*change));
    AioHandler *fresh = removes ? NULL : handler_create(spec);
    if (!change || (!removes && !fresh)) {
        aio__free(change);
        aio__free(fresh);
        aio_error_set(errp, ENOMEM, "No memory for a change of handle %jd", (intmax_t)spec->handle);
        return false;
    }
    change->spec = *spec;
    change->fresh = fresh;
    change->waiter = waiter;
    aio__mutex_lock(&handlers->lock);
    bool needed = !removes || waiter || will_exist(handlers, spec);
    if (needed) {
        aio__list_push(&handlers->changes, &change->node);
        atomic_store_explicit(&handlers->changed, true, memory_order_relaxed);
    }
    aio__mutex_unlock(&handlers->lock);
    if (needed) {
        aio__kick(ctx);
    } else {
        aio__free(change);
    }
    return true;
}

bool aio__handler_change(AioContext *ctx, const AioHandlerSpec *spec, AioError **errp)
{
    return aio__is_home(ctx) ? change_at_home(ctx, spec, errp)
                             : change_from_elsewhere(ctx, spec, NULL, errp);
}

void aio__handler_edit(AioContext *ctx, AioHandle handle, AioHandleKind kind,
                       void (*edit)(AioHandlerSpec *spec, void *arg), void *arg)
{
    AioHandlers *handlers = &ctx->handlers;
    aio__mutex_lock(&handlers->lock);
    Change *change = find_change(handlers, handle, kind);
    if (change) {
        edit(&change->spec, arg);
    } else {
        AioHandler *handler = find(handlers, handle, kind);
        if (handler) {
            edit(&handler->spec, arg);
        }
    }
    aio__mutex_unlock(&handlers->lock);
}

void aio_handler_remove_wait(AioContext *ctx, AioHandle handle, AioHandleKind kind)
{
    AioHandlers *handlers = &ctx->handlers;
    Waiter waiter = {.done = false};
    AioHandlerSpec spec = {.handle = handle, .kind = kind};
    if (aio__is_home(ctx)) {
        change_at_home(ctx, &spec, NULL);
        return;
    }
    while (!change_from_elsewhere(ctx, &spec, &waiter, NULL)) {
        aio__thread_yield(); /* it has no way to fail: memory comes back, or nothing works any more */
    }
    aio__mutex_lock(&handlers->lock);
    while (!waiter.done) {
        aio__cond_wait(&handlers->released, &handlers->lock);
    }
    aio__mutex_unlock(&handlers->lock);
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
    AioNode *node;
    while ((node = aio__list_pop(&handlers->changes))) {
        Change *change = change_of_node(node);
        aio__free(change->fresh);
        aio__free(change);
    }
    for (node = aio__list_first(&handlers->all); node;
         node = aio__list_next(&handlers->all, node)) {
        if (aio__handler_of_node(node)->state != AIO_HANDLER_REMOVED) {
            retire(ctx, aio__handler_of_node(node));
        }
    }
}

void aio__handlers_destroy(AioContext *ctx)
{
    AioHandlers *handlers = &ctx->handlers;
    assert(handlers->walkers == 0);
    aio__handlers_reap(ctx);
    aio__cond_destroy(&handlers->released);
    aio__mutex_destroy(&handlers->lock);
    aio__free(handlers->buckets);
}
