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

/*
 * One registration. Only the home thread looks at it or changes it; the table's buckets are changed under
 * the lock, so that other threads can ask whether a handle is registered.
 *
 *             set                    the system refuses it
 *   (none) ---------> LIVE ------------------------------------> FAILED
 *                      |  ^------------------ set -----------------+
 *                      |  remove                                   | remove
 *                      +----------------> REMOVED <----------------+
 *                                            |  no walk sees it, the watch is IDLE, no callback of it runs
 *                                            v
 *                                          freed, at one place: aio__handlers_reap()
 */
typedef enum AioHandlerState {
    AIO_HANDLER_LIVE,
    AIO_HANDLER_FAILED,
    AIO_HANDLER_REMOVED,
} AioHandlerState;

typedef struct AioHandler {
    AioWatch watch;
    AioHandlerState state;
    AioHandlerOps ops;
    void *opaque;
    unsigned flags;
    unsigned generation;          /* grows with each set; a dispatch under way stops where it changed */
    unsigned running;             /* callbacks of it on the stack */
    bool poll_running;            /* a callback found by busy-polling is on the stack */
    bool is_notifier;             /* the callbacks take the notifier: see handler.c */
    AioNotifierFunc *notifier_read;
    AioNotifierFunc *notifier_poll_begin;
    AioNotifierFunc *notifier_poll_end;
    struct AioHandler *bucket_next; /* linked: the next in the same bucket of the table */
    AioNode node;                   /* linked into AioHandlers.all or .removed */
    AioList waiters;                /* linked: threads in aio_handler_remove_wait() */
} AioHandler;

typedef struct AioHandlers {
    AioMutex lock;          /* guards the table's shape and `changes` */
    AioCond released;       /* a removed handler was freed */
    AioHandler **buckets;   /* owned, the handlers in it too */
    size_t bucket_mask;
    size_t count;
    AioList all;            /* linked: live and failed ones, in order of registration */
    AioList removed;        /* linked: removed ones not yet freed */
    AioList ready;          /* linked: watches that a wait found, not dispatched yet */
    AioList changes;        /* linked: asked for by other threads, not applied yet */
    atomic_bool changed;    /* `changes` is not empty */
    unsigned walkers;       /* walks of `all` and dispatches on the stack */
    size_t unpollable;      /* live ones that can't be busy-polled */
    bool external_off;      /* external watches are out of the poller */
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

int aio__handlers_init(AioContext *ctx);
void aio__handlers_destroy(AioContext *ctx);

/* Apply what other threads asked for, and bring the poller up to date with external handlers. */
void aio__handlers_apply(AioContext *ctx);

/* Whether a dispatch would call something. */
bool aio__handlers_ready(AioContext *ctx);

/* Before a wait: level-triggered readiness is asked for anew, so drop what an outer iteration found. */
void aio__handlers_forget_level(AioContext *ctx);

/* Run the callbacks of the ready list. Returns how many ran. */
unsigned aio__handlers_dispatch(AioContext *ctx);

/* Free removed handlers that nothing sees any more. The one place that frees them. */
void aio__handlers_reap(AioContext *ctx);

/* For busy polling. */
bool aio__handler_servable(AioContext *ctx, const AioHandler *handler);

#endif
