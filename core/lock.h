/*
 * A lock for short sections that are hardly ever contended: one atomic operation to take, one to drop, in
 * half the time that a mutex needs. A thread that finds it taken spins a little, then sleeps on a mutex
 * and a condition.
 *
 *   FREE ──take──▶ TAKEN ──drop──▶ FREE
 *                    │ another thread waits
 *                    ▼
 *                CONTENDED ──drop, waking one──▶ FREE
 *
 * Not recursive, not for signal handlers. It may be destroyed by a thread that took it once the last
 * holder has dropped it, even where that one has not returned from aio__lock_drop() yet.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_LOCK_H
#define AIOCTX_CORE_LOCK_H

#include <stdatomic.h>

#include "core/platform.h"

enum { AIO_LOCK_FREE, AIO_LOCK_TAKEN, AIO_LOCK_CONTENDED };

typedef struct AioLock {
    _Atomic uint32_t state;
    AioMutex mutex; /* guards the change from CONTENDED to FREE */
    AioCond cond;
} AioLock;

void aio__lock_init(AioLock *lock);
void aio__lock_destroy(AioLock *lock);

/* The slow halves of the two below. */
void aio__lock_wait(AioLock *lock);
void aio__lock_hand_on(AioLock *lock);

static inline void aio__lock_take(AioLock *lock)
{
    uint32_t expected = AIO_LOCK_FREE;
    /* acquire: pairs with the release in aio__lock_drop() and aio__lock_hand_on() */
    if (!atomic_compare_exchange_strong_explicit(&lock->state, &expected, AIO_LOCK_TAKEN,
                                                 memory_order_acquire, memory_order_relaxed)) {
        aio__lock_wait(lock);
    }
}

static inline void aio__lock_drop(AioLock *lock)
{
    uint32_t expected = AIO_LOCK_TAKEN;
    /* release: pairs with the acquire in aio__lock_take() and aio__lock_wait() */
    if (!atomic_compare_exchange_strong_explicit(&lock->state, &expected, AIO_LOCK_FREE,
                                                 memory_order_release, memory_order_relaxed)) {
        aio__lock_hand_on(lock);
    }
}

#endif
