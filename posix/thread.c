/*
 * Threads and mutexes on POSIX threads. Condition variables are in cond.c.
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

#include "core/alloc.h"
#include "core/platform.h"
#include "posix/thread_name.h"

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(AioMutex), "AioMutex is too small");
_Static_assert(sizeof(pthread_t) <= sizeof(AioOsThread), "AioOsThread is too small");

typedef struct Start {
    const char *name; /* borrowed: until `start` is called */
    void (*start)(void *);
    void *arg; /* borrowed: for as long as the thread runs */
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
    /* A fault is the business of the thread that has it. */
    const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        sigdelset(&all, faults[i]);
    }
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
