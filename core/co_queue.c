/*
 * AioCoQueue: waiting for a condition that another coroutine brings about.
 *
 * The queue has no lock: its users' lock guards it. A waiter enters its record before it drops the lock, and a
 * waker takes the record out before it wakes, so that no wake-up is lost and each waiter gets one. Between
 * drop and yield a waker of another context may come: aio_co_wake() is safe there.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>

#include "aioctx/co_lock.h"
#include "core/coroutine.h"

/* On the stack of its waiter until that is woken. */
typedef struct Waiter {
    AioCoroutine *co;    /* borrowed until it is woken */
    struct Waiter *next; /* linked */
} Waiter;

static void lock_mutex(void *mutex)
{
    aio_co_mutex_lock(mutex);
}

static void unlock_mutex(void *mutex)
{
    aio_co_mutex_unlock(mutex);
}

AioLockable aio_lockable_co_mutex(AioCoMutex *mutex)
{
    return (AioLockable){.object = mutex, .lock = lock_mutex, .unlock = unlock_mutex};
}

static void lock_it(const AioLockable *lock)
{
    if (lock) {
        lock->lock(lock->object);
    }
}

static void unlock_it(const AioLockable *lock)
{
    if (lock) {
        lock->unlock(lock->object);
    }
}

void aio_co_queue_init(AioCoQueue *queue)
{
    *queue = (AioCoQueue){.first = NULL};
}

static void push(AioCoQueue *queue, Waiter *waiter, bool front)
{
    if (!queue->first) {
        queue->first = queue->last = waiter;
    } else if (front) {
        waiter->next = queue->first;
        queue->first = waiter;
    } else {
        ((Waiter *)queue->last)->next = waiter;
        queue->last = waiter;
    }
}

/* The waiter's coroutine, or NULL. Its record is not touched afterwards. */
static AioCoroutine *pop(AioCoQueue *queue)
{
    Waiter *waiter = queue->first;
    if (!waiter) {
        return NULL;
    }
    queue->first = waiter->next;
    return waiter->co;
}

void aio_co_queue_wait_flags(AioCoQueue *queue, const AioLockable *lock, unsigned flags)
{
    assert(aio_co_in_coroutine());
    Waiter waiter = {.co = aio_co_self()};
    push(queue, &waiter, flags & AIO_CO_QUEUE_FRONT);
    unlock_it(lock);
    aio_co_yield();
    lock_it(lock);
}

void aio_co_queue_wait(AioCoQueue *queue, const AioLockable *lock)
{
    aio_co_queue_wait_flags(queue, lock, 0);
}

/* Outside of a coroutine the caller's lock is in the way of whoever would run at once. */
static void wake(AioCoroutine *co, const char *by)
{
    AioContext *ctx = aio_co_context(co);
    if (ctx && !aio_co_in_coroutine()) {
        aio__co_schedule(ctx, co, by);
    } else {
        aio__co_wake(ctx, co, by);
    }
}

bool aio_co_queue_next(AioCoQueue *queue)
{
    AioCoroutine *co = pop(queue);
    if (co) {
        wake(co, __func__);
    }
    return co;
}

/* Those that wait again meanwhile, in a coroutine entered at once, join a queue that is empty by then. */
void aio_co_queue_restart_all(AioCoQueue *queue)
{
    AioCoQueue all = *queue;
    aio_co_queue_init(queue);
    AioCoroutine *co;
    while ((co = pop(&all)) != NULL) {
        wake(co, __func__);
    }
}

static bool enter_first(AioCoQueue *queue, const AioLockable *lock, const char *by)
{
    AioCoroutine *co = pop(queue);
    if (!co) {
        return false;
    }
    unlock_it(lock);
    aio__co_wake(aio_co_context(co), co, by);
    lock_it(lock);
    return true;
}

bool aio_co_queue_enter_next(AioCoQueue *queue, const AioLockable *lock)
{
    return enter_first(queue, lock, __func__);
}

void aio_co_queue_enter_all(AioCoQueue *queue, const AioLockable *lock)
{
    AioCoQueue all = *queue;
    aio_co_queue_init(queue);
    while (enter_first(&all, lock, __func__)) {
        continue;
    }
}

bool aio_co_queue_empty(const AioCoQueue *queue)
{
    return !queue->first;
}
