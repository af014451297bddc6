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

typedef enum ChangeKind {
    CHANGE_SET,
    CHANGE_REMOVE,
    CHANGE_BRACKETS, /* only what brackets busy-polling, of a handler that is registered */
} ChangeKind;

/* What another thread asked for. */
typedef struct Change {
    AioNode node;
    ChangeKind kind;
    AioHandlerSpec spec;
    AioHandler *fresh; /* owned: to SET a handle that is not registered yet, otherwise NULL */
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

/* With the record that no handle took. */
static void change_free(Change *change)
{
    if (change) {
        aio__handler_free(change->fresh);
        aio__free(change);
    }
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

static void set_brackets(AioHandler *handler, const AioHandlerSpec *spec)
{
    handler->spec.ops.poll_begin = spec->ops.poll_begin;
    handler->spec.ops.poll_end = spec->ops.poll_end;
    handler->spec.notifier_poll_begin = spec->notifier_poll_begin;
    handler->spec.notifier_poll_end = spec->notifier_poll_end;
}

static void apply_change(AioContext *ctx, Change *change)
{
    AioHandlers *handlers = &ctx->handlers;
    AioHandler *handler = aio__handler_find(handlers, change->spec.handle, change->spec.kind);
    if (change->kind == CHANGE_SET && !handler) {
        aio__handler_add(ctx, change->fresh);
        change->fresh = NULL;
    } else if (change->kind == CHANGE_SET) {
        tell_gone(handler);
        aio__handler_replace(ctx, handler, &change->spec);
    } else if (change->kind == CHANGE_REMOVE && handler) {
        tell_gone(handler);
        aio__handler_retire(ctx, handler);
    } else if (handler) {
        set_brackets(handler, &change->spec);
    }
    if (change->waiter) {
        attach_waiter(ctx, &change->spec, change->waiter);
    }
    change_free(change);
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
    handlers->applying++;
    aio__mutex_unlock(&handlers->lock);
    while ((node = aio__list_pop(&taken))) {
        apply_change(ctx, change_of_node(node));
    }
    aio__mutex_lock(&handlers->lock);
    handlers->applying--;
    aio__mutex_unlock(&handlers->lock);
}

void aio__handlers_drop_changes(AioHandlers *handlers)
{
    AioNode *node;
    while ((node = aio__list_pop(&handlers->changes))) {
        change_free(change_of_node(node));
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

/*
 * What removes or changes nothing is not queued, and wakes nobody. With others before it in the queue, or taken from it
 * and not applied yet, that is not known, nor does it matter: the loop looks in any case.
 */
static bool must_queue(AioHandlers *handlers, const Change *change)
{
    return change->kind == CHANGE_SET || change->waiter || handlers->applying > 0 ||
           !aio__list_empty(&handlers->changes) ||
           aio__handler_find(handlers, change->spec.handle, change->spec.kind);
}

/*
 * Where the newest change queued sets the same handle, let it set this instead: a thread that sets again and again must not
 * fill the memory faster than a loop can follow. Under the lock.
 */
static bool supersede(AioHandlers *handlers, const Change *change)
{
    AioNode *node = aio__list_last(&handlers->changes);
    Change *newest = node ? change_of_node(node) : NULL;
    if (change->kind != CHANGE_SET || !newest || newest->kind != CHANGE_SET || newest->spec.gone ||
        !aio__same_handle(&newest->spec, change->spec.handle, change->spec.kind)) {
        return false;
    }
    newest->spec = change->spec;
    newest->fresh->spec = change->spec;
    return true;
}

static bool change_from_elsewhere(AioContext *ctx, ChangeKind kind, const AioHandlerSpec *spec,
                                  Waiter *waiter, AioError **errp)
{
    AioHandlers *handlers = &ctx->handlers;
    Change *change = aio__calloc(1, sizeof(*change));
    AioHandler *fresh = kind == CHANGE_SET ? aio__handler_create(spec) : NULL;
    if (!change || (kind == CHANGE_SET && !fresh)) {
        aio__free(change);
        aio__handler_free(fresh);
        aio_error_set(errp, ENOMEM, "No memory for a change of handle %jd", (intmax_t)spec->handle);
        return false;
    }
    change->kind = kind;
    change->spec = *spec;
    change->fresh = fresh;
    change->waiter = waiter;
    aio__mutex_lock(&handlers->lock);
    bool queue = must_queue(handlers, change) && !supersede(handlers, change);
    if (queue) {
        aio__list_push(&handlers->changes, &change->node);
        atomic_store_explicit(&handlers->changed, true, memory_order_relaxed);
    }
    aio__mutex_unlock(&handlers->lock);
    if (queue) {
        aio__kick(ctx);
    } else {
        change_free(change);
    }
    return true;
}

bool aio__handler_change(AioContext *ctx, const AioHandlerSpec *spec, AioError **errp)
{
    ChangeKind kind = aio__handler_spec_empty(spec) ? CHANGE_REMOVE : CHANGE_SET;
    return aio__is_home(ctx) ? change_at_home(ctx, spec, errp)
                             : change_from_elsewhere(ctx, kind, spec, NULL, errp);
}

bool aio__handler_set_brackets(AioContext *ctx, const AioHandlerSpec *spec, AioError **errp)
{
    if (!aio__is_home(ctx)) { /* nobody is yet */
        return change_from_elsewhere(ctx, CHANGE_BRACKETS, spec, NULL, errp);
    }
    AioHandler *handler = aio__handler_at_home(ctx, spec->handle, spec->kind);
    if (handler) {
        set_brackets(handler, spec);
    }
    return true;
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
    while (!change_from_elsewhere(ctx, CHANGE_REMOVE, &spec, &waiter, NULL)) {
        aio__thread_yield(); /* it has no way to fail: memory comes back, or nothing works any more */
    }
    aio__mutex_lock(&handlers->lock);
    while (!waiter.done) {
        aio__cond_wait(&handlers->released, &handlers->lock);
    }
    aio__mutex_unlock(&handlers->lock);
}
