/*
 * The slow halves of AioLock. Invariant: a thread that sleeps on the condition has set CONTENDED while it
 * held the mutex, and FREE is written over CONTENDED only by a holder of the mutex, so that no wake-up is
 * lost. Whoever destroys the lock takes the mutex once, and so waits for the last one to leave it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/lock.h"

#define SPINS 100

void aio__lock_init(AioLock *lock)
{
    atomic_init(&lock->state, AIO_LOCK_FREE);
    aio__mutex_init(&lock->mutex);
    aio__cond_init(&lock->cond);
}

void aio__lock_destroy(AioLock *lock)
{
    aio__mutex_lock(&lock->mutex);
    aio__mutex_unlock(&lock->mutex);
    aio__cond_destroy(&lock->cond);
    aio__mutex_destroy(&lock->mutex);
}

void aio__lock_wait(AioLock *lock)
{
    for (int i = 0; i < SPINS; i++) {
        uint32_t expected = AIO_LOCK_FREE;
        aio__cpu_relax();
        if (atomic_load_explicit(&lock->state, memory_order_relaxed) == AIO_LOCK_FREE &&
            /* acquire: pairs with the release in aio__lock_drop() and aio__lock_hand_on() */
            atomic_compare_exchange_strong_explicit(&lock->state, &expected, AIO_LOCK_TAKEN,
                                                    memory_order_acquire, memory_order_relaxed)) {
            return;
        }
    }
    aio__mutex_lock(&lock->mutex);
    /* acquire: as above. It stays CONTENDED where others may be asleep still. */
    while (atomic_exchange_explicit(&lock->state, AIO_LOCK_CONTENDED, memory_order_acquire) !=
           AIO_LOCK_FREE) {
        aio__cond_wait(&lock->cond, &lock->mutex);
    }
    aio__mutex_unlock(&lock->mutex);
}

void aio__lock_hand_on(AioLock *lock)
{
    aio__mutex_lock(&lock->mutex);
    /* release: pairs with the acquire in aio__lock_take() and aio__lock_wait() */
    atomic_store_explicit(&lock->state, AIO_LOCK_FREE, memory_order_release);
    aio__cond_signal(&lock->cond);
    aio__mutex_unlock(&lock->mutex);
}
