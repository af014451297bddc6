/*
 * AioCoMutex: a fair mutex for coroutines of any context and thread, without a lock of its own.
 *
 * One word says everything that contenders need: free, held, or held with waiters, in which case it is the
 * newest waiter's record; each record leads to the one before it. Only the holder looks at the records: it
 * moves them, oldest first, into a queue that nobody else sees, and hands the mutex over to the first
 * of them. So the word becomes free only when nobody waits, and nobody overtakes.
 *
 * A record lies on its waiter's stack, and stays there until the waiter is woken, which is the last thing that
 * the former holder does with it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>

#include "aioctx/co_lock.h"
#include "core/coroutine.h"
#include "core/platform.h"

typedef struct Waiter {
    AioCoroutine *co; /* borrowed until it is woken */
    struct Waiter
        *next; /* linked: the one that came before; in the holder's queue, the one after */
    bool granted;
} Waiter;

/* Values of AioCoMutex.state; any other is the address of the newest Waiter. */
enum {
    FREE = 0,
    HELD = 1,
};

#define SPINS 1000

/* The public struct is plain, for C++ and for users' own atomics. */
static inline _Atomic(uintptr_t) *state_of(AioCoMutex *mutex)
{
    return (_Atomic(uintptr_t) *)&mutex->state;
}

/* For assertions, and for those who spin; whoever compares it with itself gets a true answer. */
static inline _Atomic(AioCoroutine *) *holder_of(AioCoMutex *mutex)
{
    return (_Atomic(AioCoroutine *) *)&mutex->holder;
}

static inline _Atomic(AioContext *) *holder_ctx_of(AioCoMutex *mutex)
{
    return (_Atomic(AioContext *) *)&mutex->holder_ctx;
}

/* The holder's queue; others ask only whether somebody is in it. */
static inline _Atomic(void *) *first_of(AioCoMutex *mutex)
{
    return (_Atomic(void *) *)&mutex->first;
}

void aio_co_mutex_init(AioCoMutex *mutex)
{
    *mutex = (AioCoMutex){.state = FREE};
}

static void set_holder(AioCoMutex *mutex, AioCoroutine *self)
{
    self->locks_held++;
    atomic_store_explicit(holder_ctx_of(mutex), aio_co_context(self), memory_order_relaxed);
    atomic_store_explicit(holder_of(mutex), self, memory_order_relaxed);
}

static bool try_take(AioCoMutex *mutex)
{
    uintptr_t seen = FREE;
    /* Acquire: pairs with the release in aio_co_mutex_unlock(). */
    return atomic_compare_exchange_strong_explicit(state_of(mutex), &seen, HELD,
                                                   memory_order_acquire, memory_order_relaxed);
}

/* Worth it only where the holder makes progress meanwhile, and where that would not overtake anybody. */
static bool spin(AioCoMutex *mutex, AioContext *own)
{
    for (unsigned i = 0; i < SPINS; i++) {
        uintptr_t state = atomic_load_explicit(state_of(mutex), memory_order_relaxed);
        if (state == FREE) {
            return try_take(mutex);
        }
        if (state != HELD || atomic_load_explicit(first_of(mutex), memory_order_relaxed) ||
            atomic_load_explicit(holder_ctx_of(mutex), memory_order_relaxed) == own) {
            return false;
        }
        aio__cpu_relax();
    }
    return false;
}

/* Become a waiter, or the holder where the mutex became free. Returns whether it did. */
static bool take_or_queue(AioCoMutex *mutex, Waiter *waiter)
{
    uintptr_t state = atomic_load_explicit(state_of(mutex), memory_order_relaxed);
    for (;;) {
        if (state == FREE) {
            if (try_take(mutex)) {
                return true;
            }
            state = atomic_load_explicit(state_of(mutex), memory_order_relaxed);
            continue;
        }
        waiter->next = state == HELD ? NULL : (Waiter *)state;
        /* Release: pairs with collect(). */
        if (atomic_compare_exchange_weak_explicit(state_of(mutex), &state, (uintptr_t)waiter,
                                                  memory_order_release, memory_order_relaxed)) {
            return false;
        }
    }
}

static void lock_slowly(AioCoMutex *mutex, AioCoroutine *self)
{
    Waiter waiter = {.co = self};
    if (!spin(mutex, aio_co_context(self)) && !take_or_queue(mutex, &waiter)) {
        aio_co_yield();
        assert(waiter.granted);
    }
}

void aio_co_mutex_lock(AioCoMutex *mutex)
{
    AioCoroutine *self = aio_co_self();
    assert(aio_co_in_coroutine());
    assert(atomic_load_explicit(holder_of(mutex), memory_order_relaxed) != self);
    if (!try_take(mutex)) {
        lock_slowly(mutex, self);
    }
    set_holder(mutex, self);
}

bool aio_co_mutex_trylock(AioCoMutex *mutex)
{
    assert(aio_co_in_coroutine());
    if (!try_take(mutex)) {
        return false;
    }
    set_holder(mutex, aio_co_self());
    return true;
}

/* Move those that came since the last time to the queue, oldest first. Only for the holder. */
static Waiter *collect(AioCoMutex *mutex)
{
    if (atomic_load_explicit(state_of(mutex), memory_order_relaxed) == HELD) {
        return NULL;
    }
    /* Acquire: pairs with take_or_queue(). */
    Waiter *newest =
        (Waiter *)atomic_exchange_explicit(state_of(mutex), HELD, memory_order_acquire);
    Waiter *first = NULL;
    while (newest) {
        Waiter *waiter = newest;
        newest = waiter->next;
        waiter->next = first;
        first = waiter;
    }
    return first;
}

/* The one that waits longest, out of the queue; NULL: nobody does. Only for the holder. */
static Waiter *next_waiter(AioCoMutex *mutex)
{
    Waiter *waiter = atomic_load_explicit(first_of(mutex), memory_order_relaxed);
    if (!waiter) {
        waiter = collect(mutex);
    }
    if (waiter) {
        atomic_store_explicit(first_of(mutex), waiter->next, memory_order_relaxed);
    }
    return waiter;
}

void aio_co_mutex_unlock(AioCoMutex *mutex)
{
    AioCoroutine *self = aio_co_self();
    assert(atomic_load_explicit(holder_of(mutex), memory_order_relaxed) == self);
    self->locks_held--;
    atomic_store_explicit(holder_of(mutex), NULL, memory_order_relaxed);
    for (;;) {
        Waiter *waiter = next_waiter(mutex);
        if (waiter) {
            waiter->granted = true;
            aio__co_wake(aio_co_context(waiter->co), waiter->co, __func__);
            return;
        }
        uintptr_t seen = HELD;
        /* Release: pairs with try_take(). */
        if (atomic_compare_exchange_strong_explicit(state_of(mutex), &seen, FREE,
                                                    memory_order_release, memory_order_relaxed)) {
            return;
        }
    }
}
