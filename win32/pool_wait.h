/*
 * Waits that the system's thread pool does for a poller: for the handles beyond those that one call can take.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_WIN32_POOL_WAIT_H
#define AIOCTX_WIN32_POOL_WAIT_H

#include "win32/object.h"

typedef struct AioPoolWaits {
    SRWLOCK lock;         /* guards the states, and `fired` */
    AioList all;          /* linked, owned; home thread only, as the next two */
    size_t count;         /* of `all` */
    AioList idle;         /* linked: those that the pool is to wait for again */
    AioList fired;        /* linked: FIRED ones */
    void (*wake)(void *); /* called by the pool when one has FIRED */
    void *opaque;         /* borrowed for as long as the set lives */
} AioPoolWaits;

void aio__pool_waits_init(AioPoolWaits *set, void (*wake)(void *), void *opaque);

/* With what is still in it. */
void aio__pool_waits_destroy(AioPoolWaits *set);

/* Take a watch in; its `own` belongs to the set until it is removed. 0 or a negative errno value. */
int aio__pool_waits_add(AioPoolWaits *set, AioWatch *watch, AioObjectKind kind);

/* Take it out. A signal that was taken for it and not reported stays in watch->ready. */
void aio__pool_waits_remove(AioPoolWaits *set, AioWatch *watch);

/* Before a sleep: have the pool wait for all that it does not wait for yet. */
void aio__pool_waits_arm(AioPoolWaits *set);

/* Report what has fired. Returns how many. */
int aio__pool_waits_take(AioPoolWaits *set, AioList *ready);

/*
 * Look at the handles themselves, all or the next few of them in rotation: what was signalled just now has not gone through the
 * pool. Returns how many, or -EBADF.
 */
int aio__pool_waits_probe(AioPoolWaits *set, bool all, AioList *ready);

/*
 * After a wait has failed: move those that are to blame to `lost` (watches, by own_node); they are out of the set. The others are
 * reported where they are signalled.
 */
void aio__pool_waits_drop_bad(AioPoolWaits *set, AioList *ready, AioList *lost);

#endif
