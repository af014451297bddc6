/*
 * Locks and queues for coroutines: waiting yields the coroutine, never blocks the thread.
 *
 * All of them work between contexts and threads; whoever waited is continued in its own context, as
 * aio_co_wake() does it. Coroutines without a context can share them within one thread only. While one
 * waits, nobody else may wake it. All are ready for use when they are zero. The fields are private.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CO_LOCK_H
#define AIOCTX_CO_LOCK_H

#include "aioctx/coroutine.h"
#include "aioctx/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A fair mutex: first come, first served. Not recursive. */
typedef struct AioCoMutex {
    uintptr_t state;
    AioCoroutine *holder;
    AioContext *holder_ctx;
    void *first;
    void *reserved[2];
} AioCoMutex;

/*
 * Initialise; the same as all zero.
 *
 * Thread: any
 */
AIO_EXPORT void aio_co_mutex_init(AioCoMutex *mutex);

/*
 * Lock, yielding while another coroutine holds it.
 *
 * Thread: coroutine
 */
AIO_EXPORT void aio_co_mutex_lock(AioCoMutex *mutex);

/*
 * Lock where nobody holds it. Returns whether it did.
 *
 * Thread: coroutine
 */
AIO_EXPORT bool aio_co_mutex_trylock(AioCoMutex *mutex);

/*
 * Hand over to the first waiter, which runs once the caller yields or ends. Only by the holder.
 *
 * Thread: coroutine
 */
AIO_EXPORT void aio_co_mutex_unlock(AioCoMutex *mutex);

/* What aio_co_queue_wait() drops while it waits. Make one with a function below. */
typedef struct AioLockable {
    void *object;
    void (*lock)(void *object);
    void (*unlock)(void *object);
} AioLockable;

/*
 * A lockable made of a coroutine mutex.
 *
 * Thread: any
 */
AIO_EXPORT AioLockable aio_lockable_co_mutex(AioCoMutex *mutex);

/* A queue of waiting coroutines, a condition variable to them; its users guard it with a lock. */
typedef struct AioCoQueue {
    void *first;
    void *last;
} AioCoQueue;

typedef enum AioCoQueueFlags {
    AIO_CO_QUEUE_FRONT = 1 << 0, /* wait in front of all others */
} AioCoQueueFlags;

/*
 * Initialise; the same as all zero.
 *
 * Thread: any
 */
AIO_EXPORT void aio_co_queue_init(AioCoQueue *queue);

/*
 * Join the queue, drop the lock, wait, and take the lock again. `lock` NULL: there is none, and all users
 * are in one thread.
 *
 * Thread: coroutine
 */
AIO_EXPORT void aio_co_queue_wait(AioCoQueue *queue, const AioLockable *lock);

/*
 * As aio_co_queue_wait(), with flags.
 *
 * Thread: coroutine
 */
AIO_EXPORT void aio_co_queue_wait_flags(AioCoQueue *queue, const AioLockable *lock, unsigned flags);

/*
 * Wake the first waiter: it runs when the calling coroutine yields or ends, or in the next iteration of its
 * own context; without any context and outside of coroutines, at once. Returns whether there was one. With
 * the lock held.
 *
 * Thread: any
 */
AIO_EXPORT bool aio_co_queue_next(AioCoQueue *queue);

/*
 * As aio_co_queue_next(), for all that wait now. With the lock held.
 *
 * Thread: any
 */
AIO_EXPORT void aio_co_queue_restart_all(AioCoQueue *queue);

/*
 * Enter the first waiter as aio_co_wake() does, at once where it belongs to this context. The lock, held
 * by the caller, is dropped while it runs. Returns whether there was one.
 *
 * Thread: home, no coroutine
 */
AIO_EXPORT bool aio_co_queue_enter_next(AioCoQueue *queue, const AioLockable *lock);

/*
 * As aio_co_queue_enter_next(), for all that wait now.
 *
 * Thread: home, no coroutine
 */
AIO_EXPORT void aio_co_queue_enter_all(AioCoQueue *queue, const AioLockable *lock);

/*
 * Whether nobody waits. With the lock held.
 *
 * Thread: any
 */
AIO_EXPORT bool aio_co_queue_empty(const AioCoQueue *queue);

/* A fair reader-writer lock: first come, first served, readers in a row enter together. */
typedef struct AioCoRwlock {
    AioCoMutex mutex;
    intptr_t owners;
    void *first;
    void *last;
    void *reserved[3];
} AioCoRwlock;

/*
 * Initialise; the same as all zero.
 *
 * Thread: any
 */
AIO_EXPORT void aio_co_rwlock_init(AioCoRwlock *lock);

/*
 * Lock for reading.
 *
 * Thread: coroutine
 */
AIO_EXPORT void aio_co_rwlock_rdlock(AioCoRwlock *lock);

/*
 * Lock for writing.
 *
 * Thread: coroutine
 */
AIO_EXPORT void aio_co_rwlock_wrlock(AioCoRwlock *lock);

/*
 * From reading to writing: waits for the other readers, ahead of no writer that came before and ahead of
 * all that come later. What was read before must be read again.
 *
 * Thread: coroutine
 */
AIO_EXPORT void aio_co_rwlock_upgrade(AioCoRwlock *lock);

/*
 * From writing to reading without letting a writer in between; readers that wait up to the next writer
 * enter at once.
 *
 * Thread: coroutine
 */
AIO_EXPORT void aio_co_rwlock_downgrade(AioCoRwlock *lock);

/*
 * Unlock what either of the two took.
 *
 * Thread: coroutine
 */
AIO_EXPORT void aio_co_rwlock_unlock(AioCoRwlock *lock);

#ifdef __cplusplus
}
#endif

#endif
