/*
 * Condition variables on POSIX threads. They wait on the monotonic clock, so that a wall clock that is set does not
 * disturb them.
 *
 * SPDX-License-Identifier: MIT
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "core/platform.h"

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(AioMutex), "AioMutex is too small");
_Static_assert(sizeof(pthread_cond_t) <= sizeof(AioCond), "AioCond is too small");

static pthread_mutex_t *os_mutex(AioMutex *mutex)
{
    return (pthread_mutex_t *)(void *)mutex->storage;
}

static pthread_cond_t *os_cond(AioCond *cond)
{
    return (pthread_cond_t *)(void *)cond->storage;
}

void aio__cond_init(AioCond *cond)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(os_cond(cond), &attributes);
    pthread_condattr_destroy(&attributes);
}

void aio__cond_destroy(AioCond *cond)
{
    pthread_cond_destroy(os_cond(cond));
}

void aio__cond_wait(AioCond *cond, AioMutex *mutex)
{
    pthread_cond_wait(os_cond(cond), os_mutex(mutex));
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
    return pthread_cond_timedwait(os_cond(cond), os_mutex(mutex), &until) != ETIMEDOUT;
}

void aio__cond_signal(AioCond *cond)
{
    pthread_cond_signal(os_cond(cond));
}

void aio__cond_broadcast(AioCond *cond)
{
    pthread_cond_broadcast(os_cond(cond));
}
