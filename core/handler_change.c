/*
 * Changing handlers from any thread.
 *
 * The home thread changes them at once. Another thread's change is copied and queued, with all memory that it may
 * need, and applied in order before the loop waits or runs a callback of a handler; since the home thread
 * applies what is queued before any change of its own, all changes happen in one order, and a descriptor
 * that is closed and reused in between inherits nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdint.h>

#include "core/alloc.h"
#include "core/context.h"
#include "core/handler.h"

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

/* Applying them, in the home thread. */

/*
 * Let a thread in aio_handler_remove_wait() wait for a removed record of its handle that is in use, or go on where
 * there is none. There may be several: the handle was removed and added again by a callback of it.
 */
static void attach_waiter(AioContext *ctx, const AioHandlerSpec *spec, Waiter *waiter)
{
    AioHandlers *handlers = &ctx->handlers;
    for (AioNode *node = aio__list_first(&handlers->removed); node;
         node = aio__list_next(&handlers->removed, node)) {
        AioHandler *handler = aio__handler_of_removed(node);
        if (aio__same_handle(&handler->spec, spec->handle, spec->kind) &&
            aio__handler_in_use(ctx, handler)) {
            aio__list_push(&handler->waiters, &waiter->node);
            return;
        }
    }
    aio__mutex_lock(&handlers->lock);
    waiter->done = true;
    aio__cond_broadcast(&handlers->released);
    aio__mutex_unlock(&handlers->lock);
}

void aio__handler_release_waiters(AioContext *ctx, AioHandler *handler)
{
    AioNode *node;
    while ((node = aio__list_pop(&handler->waiters))) {
        attach_waiter(ctx, &handler->spec, waiter_of_node(node));
    }
}

/* Before a handler is removed or replaced on somebody's request. */
static void tell_gone(const AioHandler *handler)
{
    if (handler->spec.gone) {
        handler->spec.gone(handler->spec.opaque);
    }
}

static void apply_change(AioContext *ctx, Change *change)
{
    AioHandlers *handlers = &ctx->handlers;
    AioHandler *handler = aio__handler_find(handlers, change->spec.handle, change->spec.kind);
    if (!change->fresh) {
        if (handler) {
            tell_gone(handler);
            aio__handler_retire(ctx, handler);
        }
        if (change->waiter) {
            attach_waiter(ctx, &change->spec, change->waiter);
        }
    } else if (handler) {
        tell_gone(handler);
        aio__handler_replace(ctx, handler, &change->spec);
        aio__free(change->fresh);
    } else {
        change->fresh->spec = change->spec; /* aio__handler_edit() may have changed it */
        aio__handler_add(ctx, change->fresh);
    }
    aio__free(change);
}

void aio__handlers_apply_changes(AioContext *ctx)
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

void aio__handlers_drop_changes(AioHandlers *handlers)
{
    AioNode *node;
    while ((node = aio__list_pop(&handlers->changes))) {
        Change *change = change_of_node(node);
        aio__free(change->fresh);
        aio__free(change);
    }
}

/* Asking for a change, from any thread. */

AioHandler *aio__handler_at_home(AioContext *ctx, AioHandle handle, AioHandleKind kind)
{
    if (atomic_load_explicit(&ctx->handlers.changed, memory_order_relaxed)) {
        aio__handlers_apply_changes(ctx);
    }
    return aio__handler_find(&ctx->handlers, handle, kind);
}

static bool change_at_home(AioContext *ctx, const AioHandlerSpec *spec, AioError **errp)
{
    AioHandler *handler = aio__handler_at_home(ctx, spec->handle, spec->kind);
    if (aio__handler_spec_empty(spec)) {
        if (handler) {
            tell_gone(handler);
            aio__handler_retire(ctx, handler);
            aio__kick(ctx);
        }
        return true;
    }
    if (handler) {
        tell_gone(handler);
        aio__handler_replace(ctx, handler, spec);
    } else {
        handler = aio__handler_create(spec);
        if (!handler) {
            aio_error_set(errp, ENOMEM, "No memory for a handler of handle %jd",
                          (intmax_t)spec->handle);
            return false;
        }
        aio__handler_add(ctx, handler);
    }
    aio__kick(ctx);
    return true;
}

/* The last change queued for a handle. Under the lock. */
static Change *find_change(AioHandlers *handlers, AioHandle handle, AioHandleKind kind)
{
    for (AioNode *node = handlers->changes.head.prev; node != &handlers->changes.head;
         node = node->prev) {
        if (aio__same_handle(&change_of_node(node)->spec, handle, kind)) {
            return change_of_node(node);
        }
    }
    return NULL;
}

/* Whether a handle will be registered when all that is queued is applied. Under the lock. */
static bool will_exist(AioHandlers *handlers, const AioHandlerSpec *spec)
{
    Change *change = find_change(handlers, spec->handle, spec->kind);
    return change ? change->fresh != NULL
                  : aio__handler_find(handlers, spec->handle, spec->kind) != NULL;
}

static bool change_from_elsewhere(AioContext *ctx, const AioHandlerSpec *spec, Waiter *waiter,
                                  AioError **errp)
{
    AioHandlers *handlers = &ctx->handlers;
    bool removes = aio__handler_spec_empty(spec);
    Change *change = aio__calloc(1, sizeof(*change));
    AioHandler *fresh = removes ? NULL : aio__handler_create(spec);
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
        AioHandler *handler = aio__handler_find(handlers, handle, kind);
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
