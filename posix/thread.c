/*
 * Threads, mutexes and condition variables on POSIX threads. Condition variables wait on the monotonic
 * clock, so that a wall clock that is set does not disturb them.
 *
 * SPDX-License-Identifier: MIT
 */
#define _POSIX_C_SOURCE 200809L
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "core/alloc.h"
#include "core/platform.h"

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(AioMutex), "AioMutex is too small");
_Static_assert(sizeof(pthread_cond_t) <= sizeof(AioCond), "AioCond is too small");
_Static_assert(sizeof(pthread_t) <= sizeof(AioOsThread), "AioOsThread is too small");

typedef struct Start {
    const char *name;
    void (*start)(void *);
    void *arg;
} Start;

static void *run_thread(void *opaque)
{
    Start start = *(Start *)opaque;
    aio__free(opaque);
    aio__thread_set_name(start.name);
    start.start(start.arg);
    return NULL;
}

int aio__thread_start(AioOsThread *thread, const char *name, void (*start)(void *), void *arg)
{
    Start *data = aio__malloc(sizeof(*data));
    if (!data) {
        return -ENOMEM;
    }
    *data = (Start){.name = name, .start = start, .arg = arg};
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all,
                    &old); /* inherited: signals are the host program's business */
    pthread_t id;
    int error = pthread_create(&id, NULL, run_thread, data);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (error) {
        aio__free(data);
        return -error;
    }
    memcpy(thread->storage, &id, sizeof(id));
    return 0;
}

void aio__thread_join(AioOsThread *thread)
{
    pthread_t id;
    memcpy(&id, thread->storage, sizeof(id));
    pthread_join(id, NULL);
}

void aio__thread_yield(void)
{
    sched_yield();
}

static pthread_mutex_t *os_mutex(AioMutex *mutex)
{
    return (pthread_mutex_t *)(void *)mutex->storage;
}

static pthread_cond_t *os_cond(AioCond *cond)
{
    return (pthread_cond_t *)(void *)cond->storage;
}

void aio__mutex_init(AioMutex *mutex)
{
    pthread_mutex_init(os_mutex(mutex), NULL);
}

void aio__mutex_destroy(AioMutex *mutex)
{
    pthread_mutex_destroy(os_mutex(mutex));
}

void aio__mutex_lock(AioMutex *mutex)
{
    int error = pthread_mutex_lock(os_mutex(mutex));
    assert(!error);
    (void)error;
}

bool aio__mutex_trylock(AioMutex *mutex)
{
    return pthread_mutex_trylock(os_mutex(mutex)) == 0;
}

void aio__mutex_unlock(AioMutex *mutex)
{
    int error = pthread_mutex_unlock(os_mutex(mutex));
    assert(!error);
    (void)error;
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
