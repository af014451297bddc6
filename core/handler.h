/*
 * Handlers as core sees them, and the part of a context that belongs to them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_HANDLER_H
#define AIOCTX_CORE_HANDLER_H

#include <stdatomic.h>

#include "aioctx/handler.h"
#include "core/list.h"
#include "core/platform.h"
#include "core/poller.h"

/* What a registration asks for, as one unit. */
typedef struct AioHandlerSpec {
    AioHandle handle;
    AioHandleKind kind;
    unsigned flags; /* AioHandlerFlags */
    AioHandlerOps ops;
    /* In place of ops.read and its like where `opaque` is a notifier: called with their own type. */
    AioNotifierFunc *notifier_read;
    AioNotifierFunc *notifier_poll_begin;
    AioNotifierFunc *notifier_poll_end;
    void (*gone)(void *opaque); /* core's: somebody is about to remove or replace it; or NULL */
    void *opaque;
} AioHandlerSpec;

/*
 * One registration. Only the home thread looks at it or changes it; the table's shape is changed under the
 * lock, so that other threads can ask whether a handle is registered.
 *
 *             set                    the system refuses it
 *   (none) ---------> LIVE ------------------------------------> FAILED
 *                      |  ^------------------ set -----------------+
 *                      |  remove                                   | remove
 *                      +----------------> REMOVED <----------------+
 *                                            |  nothing of it runs and the watch is IDLE
 *                                            v
 *                                          freed, at one place: aio__handler_free()
 */
typedef enum AioHandlerState {
    AIO_HANDLER_LIVE,
    AIO_HANDLER_FAILED,
    AIO_HANDLER_REMOVED,
} AioHandlerState;

typedef struct AioHandler {
    AioWatch watch;
    AioHandlerState state;
    AioHandlerSpec spec;
    unsigned generation; /* grows with each set and dispatch: those further out stop at that */
    unsigned running;    /* callbacks of it on the stack, and walks that stand at it */
    bool poll_running;   /* the one that busy-polling called is on the stack */
    bool poll_begun;     /* poll_begin was called, poll_end not yet */
    struct AioHandler *bucket_next; /* linked: the next in the same bucket of the table */
    AioNode node;                   /* linked into AioHandlers.all until it is freed */
    AioNode removed_node;           /* linked into AioHandlers.removed */
    AioList waiters;                /* linked: threads in aio_handler_remove_wait() */
} AioHandler;

typedef struct AioHandlers {
    AioMutex lock;        /* guards the table's shape, `changes` and what waits for `released` */
    AioCond released;     /* a thread in aio_handler_remove_wait() may go on */
    AioHandler **buckets; /* owned, the handlers in it too */
    size_t bucket_mask;
    _Atomic size_t count;
    AioList all;         /* linked: in order of registration; walked, so the removed ones, too */
    AioList removed;     /* linked, owned: removed ones not yet freed */
    AioList ready;       /* linked: watches that a wait found, not dispatched yet */
    AioList changes;     /* linked, owned: asked for by other threads, not applied yet */
    atomic_bool changed; /* `changes` is not empty */
    unsigned applying;   /* under the lock: changes were taken from it and not all applied yet */
    unsigned unpollable; /* live ones that can't be busy-polled */
    bool external_off;   /* external watches are out of the poller */
    atomic_uint external_disabled; /* depth of aio_disable_external() */
} AioHandlers;

static inline AioHandler *aio__handler_of_watch(AioWatch *watch)
{
    return AIO_CONTAINER_OF(watch, AioHandler, watch);
}

static inline AioHandler *aio__handler_of_node(AioNode *node)
{
    return AIO_CONTAINER_OF(node, AioHandler, node);
}

static inline AioHandler *aio__handler_of_removed(AioNode *node)
{
    return AIO_CONTAINER_OF(node, AioHandler, removed_node);
}

static inline bool aio__same_handle(const AioHandlerSpec *spec, AioHandle handle,
                                    AioHandleKind kind)
{
    return spec->handle == handle && spec->kind == kind;
}

/* handler.c: home thread, unless it says otherwise. */

/* Call whichever of the two forms of a callback there is; nothing happens where there is none. */
static inline void aio__handler_call(const AioHandler *handler, AioHandlerFunc *plain,
                                     AioNotifierFunc *notifier)
{
    if (notifier) {
        notifier(handler->spec.opaque);
    } else if (plain) {
        plain(handler->spec.opaque);
    }
}

int aio__handlers_init(AioContext *ctx);

/* At the end of a context: take all watches out of the poller; and, once that is closed, free all. */
void aio__handlers_retire_all(AioContext *ctx);
void aio__handlers_destroy(AioContext *ctx);

/* What is registered, or NULL. From any thread under the lock. */
AioHandler *aio__handler_find(AioHandlers *handlers, AioHandle handle, AioHandleKind kind);

/* A record that is not registered yet; NULL where memory is refused. From any thread. */
AioHandler *aio__handler_create(const AioHandlerSpec *spec);

/* Free a record that is in no table: one that was not registered, or not any more. NULL is fine. */
void aio__handler_free(AioHandler *handler);

/* Register a new record, change a registered one, and take one out. */
void aio__handler_add(AioContext *ctx, AioHandler *handler);
void aio__handler_replace(AioContext *ctx, AioHandler *handler, const AioHandlerSpec *spec);
void aio__handler_retire(AioContext *ctx, AioHandler *handler);

/*
 * Change callbacks and opaque of a registered one that has no `poll`. What was found ready stays so for the
 * direction whose callback is the same; for the other it is asked for anew.
 */
void aio__handler_redirect(AioContext *ctx, AioHandler *handler, AioHandlerFunc *read,
                           AioHandlerFunc *write, void *opaque);

/* Apply what other threads asked for, and bring the poller up to date with external handlers. */
void aio__handlers_apply(AioContext *ctx);

/* Take a handler out of the poller until it is set again: nobody is there for what it reports. */
void aio__handler_mute(AioContext *ctx, AioHandler *handler);

/* Take note of a FAILED watch. */
void aio__handler_fail(AioContext *ctx, AioHandler *handler);

/* Whether it is live, and not external while these are disabled. */
bool aio__handler_servable(AioContext *ctx, const AioHandler *handler);

/* Whether the system, or a callback on the stack, uses it. */
bool aio__handler_in_use(AioContext *ctx, const AioHandler *handler);

/* Let waiting threads go on, and free removed handlers that nothing sees any more: the one place. */
void aio__handlers_reap(AioContext *ctx);

/* handler_change.c */

/* Set, replace or remove, from any thread. */
bool aio__handler_change(AioContext *ctx, const AioHandlerSpec *spec, AioError **errp);

/* What is registered, or NULL, once all that other threads asked for is applied. Home thread. */
AioHandler *aio__handler_at_home(AioContext *ctx, AioHandle handle, AioHandleKind kind);

/* Whether a spec has no callback that matters: it removes. */
bool aio__handler_spec_empty(const AioHandlerSpec *spec);

/* Give the handler of a handle, where there is one, what brackets busy-polling in `spec`. Home thread. */
bool aio__handler_set_brackets(AioContext *ctx, const AioHandlerSpec *spec, AioError **errp);

/* Apply what other threads asked for so far. Home thread. */
void aio__handlers_apply_changes(AioContext *ctx);

/* A removed record is in use no more: let the threads that wait for it go on, or wait for another. */
void aio__handler_release_waiters(AioContext *ctx, AioHandler *handler);

/* Forget what was asked for and not applied. */
void aio__handlers_drop_changes(AioHandlers *handlers);

/* handler_dispatch.c: home thread. */

/* Whether a dispatch would call something; drops what does not matter at the head of the ready list. */
bool aio__handlers_ready(AioContext *ctx);

/* Before a wait: level-triggered readiness is asked for anew, so drop what an outer iteration found. */
void aio__handlers_forget_level(AioContext *ctx);

/* Run the callbacks of the ready list. Returns how many ran, handlers that failed included. */
unsigned aio__handlers_dispatch(AioContext *ctx);

#endif
