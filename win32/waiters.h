/*
 * Handles that threads of our own wait for, 63 each: those beyond what one call of a poller takes, or all of them where the poller
 * waits for something else.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_WIN32_WAITERS_H
#define AIOCTX_WIN32_WAITERS_H

#include "core/platform.h"
#include "win32/direct_set.h"

typedef struct AioWaiters {
    AioMutex lock;   /* guards what the waiters share with home: states, `fired`, `broken` */
    AioCond seen;    /* a waiter has taken note of what was asked of it */
    AioList threads; /* linked, owned; home only, as `idle`. Those with room come first */
    AioList idle;    /* linked: the handles that no waiter waits for */
    size_t armed;    /* home only: how many are not in there */
    AioList fired;   /* linked: FIRED ones */
    int broken;      /* waiters whose wait has failed, for one of the handles is none any more */
    void (*wake)(void *); /* called by a waiter when there is something to take */
    void *opaque;         /* borrowed for as long as the set lives */
} AioWaiters;

void aio__waiters_init(AioWaiters *set, void (*wake)(void *), void *opaque);

/* With what is still in it. Returns when no waiter runs. */
void aio__waiters_destroy(AioWaiters *set);

/*
 * As the poller's update; -errno where it can't be watched. It goes into `direct` (NULL: there is none) while that has
 * room. Its `own` belongs to the set that it is in. A signal that was taken for it and not reported stays in watch->ready.
 */
int aio__waiters_update(AioWaiters *set, AioDirectSet *direct, AioWatch *watch, unsigned wanted);

/* Before a sleep: have the waiters wait for all that they do not wait for yet. */
void aio__waiters_arm(AioWaiters *set);

/* Have them wait for nothing. Returns whether they took something, which is there to be taken; nothing is on its way. */
bool aio__waiters_withdraw(AioWaiters *set);

/* Report what has fired. Returns how many, or -EBADF. */
int aio__waiters_take(AioWaiters *set, AioList *ready);

/* Look at those that no waiter waits for, all or the next few of them in rotation. Returns how many, or -EBADF. */
int aio__waiters_probe(AioWaiters *set, bool all, AioList *ready);

/*
 * After -EBADF: move those that are to blame to `lost` (watches, by own_node); they are out of the set. The others are
 * reported where they are signalled.
 */
void aio__waiters_drop_bad(AioWaiters *set, AioList *ready, AioList *lost);

#endif
