/*
 * Condition variables on futexes. The C library's take the mutex again as if it were contended, so that each wait
 * costs one more system call when the mutex is dropped, and a pool's workers do little else than wait.
 *
 * A waiter notes the sequence number under the mutex and sleeps only while it stands; whoever signals moves it on
 * first. A change made under the mutex is thus either seen by the waiter before it sleeps, or its signal comes
 * after the note was taken and finds the waiter counted.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include <linux/futex.h>
#include <sys/syscall.h>

#include "core/platform.h"

/* The youngest 32-bit systems have only the second of the two. */
#ifndef SYS_futex
#define SYS_futex SYS_futex_time64
#endif

/* Take the call whose timespec is the C library's. */
#ifdef SYS_futex_time64
static const long futex_number = sizeof(time_t) > sizeof(long) ? SYS_futex_time64 : SYS_futex;
#else
static const long futex_number = SYS_futex;
#endif

typedef struct Cond {
    _Atomic uint32_t sequence;
    _Atomic uint32_t waiters;
} Cond;

_Static_assert(sizeof(Cond) <= sizeof(AioCond), "AioCond is too small");

static Cond *os_cond(AioCond *cond)
{
    return (Cond *)(void *)cond->storage;
}

void aio__cond_init(AioCond *cond)
{
    atomic_init(&os_cond(cond)->sequence, 0);
    atomic_init(&os_cond(cond)->waiters, 0);
}

void aio__cond_destroy(AioCond *cond)
{
    (void)cond;
}

/* Returns whether it was for another reason than the time. `until`: on the monotonic clock; NULL: for ever. */
static bool wait_until(Cond *cond, AioMutex *mutex, const struct timespec *until)
{
    /* Relaxed: under the mutex, and the mutex orders them for those who signal. */
    uint32_t sequence = atomic_load_explicit(&cond->sequence, memory_order_relaxed);
    int saved = errno;
    atomic_fetch_add_explicit(&cond->waiters, 1, memory_order_relaxed);
    aio__mutex_unlock(mutex);
    long result = syscall(futex_number, &cond->sequence, FUTEX_WAIT_BITSET_PRIVATE, sequence, until,
                          NULL, FUTEX_BITSET_MATCH_ANY);
    bool in_time = result == 0 || errno != ETIMEDOUT;
    errno = saved;
    aio__mutex_lock(mutex);
    atomic_fetch_sub_explicit(&cond->waiters, 1, memory_order_relaxed);
    return in_time;
}

void aio__cond_wait(AioCond *cond, AioMutex *mutex)
{
    wait_until(os_cond(cond), mutex, NULL);
}

bool aio__cond_timedwait(AioCond *cond, AioMutex *mutex, int64_t timeout_ns)
{
    const int64_t second = 1000000000;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(timeout_ns / second);
    until.tv_nsec += (long)(timeout_ns % second);
    if (until.tv_nsec >= second) {
        until.tv_sec++;
        until.tv_nsec -= (long)second;
    }
    return wait_until(os_cond(cond), mutex, &until);
}

static void wake(Cond *cond, int count)
{
    int saved = errno;
    atomic_fetch_add_explicit(&cond->sequence, 1, memory_order_relaxed);
    if (atomic_load_explicit(&cond->waiters, memory_order_relaxed) > 0) {
        syscall(futex_number, &cond->sequence, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
    }
    errno = saved;
}

void aio__cond_signal(AioCond *cond)
{
    wake(os_cond(cond), 1);
}

void aio__cond_broadcast(AioCond *cond)
{
    wake(os_cond(cond), INT_MAX);
}
