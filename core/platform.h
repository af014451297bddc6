/*
 * Seam 2 of 4: what core needs of the system. One implementation a system, in posix/ or win32/.
 *
 * True of all: none decides policy; those that can fail return 0 or a negative errno value and hand
 * results through pointers; none touches errno as its caller sees it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_PLATFORM_H
#define AIOCTX_CORE_PLATFORM_H

#include "aioctx/types.h"

/* Storage for the system's own type; the implementation checks at compile time that it fits. */
typedef struct AioMutex {
    uint64_t storage[6];
} AioMutex;

typedef struct AioCond {
    uint64_t storage[6];
} AioCond;

typedef struct AioOsThread {
    uint64_t storage[1];
} AioOsThread;

/* Start a thread; `name` is a literal. It ends when `start` returns; all signals are blocked in it. */
int aio__thread_start(AioOsThread *thread, const char *name, void (*start)(void *), void *arg);

/* Wait for the end of a thread that was started; once for each. */
void aio__thread_join(AioOsThread *thread);

/* Name the calling thread, for debuggers. */
void aio__thread_set_name(const char *name);

/* Let another thread run. */
void aio__thread_yield(void);

/* Tell the processor that this is a spin. */
void aio__cpu_relax(void);

/* Not recursive. Cannot fail on our systems. */
void aio__mutex_init(AioMutex *mutex);
void aio__mutex_destroy(AioMutex *mutex);
void aio__mutex_lock(AioMutex *mutex);
bool aio__mutex_trylock(AioMutex *mutex);
void aio__mutex_unlock(AioMutex *mutex);

/* With the mutex held; wakes may be spurious. The timed wait returns false when the time was up. */
void aio__cond_init(AioCond *cond);
void aio__cond_destroy(AioCond *cond);
void aio__cond_wait(AioCond *cond, AioMutex *mutex);
bool aio__cond_timedwait(AioCond *cond, AioMutex *mutex, int64_t timeout_ns);
void aio__cond_signal(AioCond *cond);
void aio__cond_broadcast(AioCond *cond);

/* Nanoseconds since some moment; never goes back, never jumps. The clock that pollers wait on. */
int64_t aio__monotonic_ns(void);

/* Nanoseconds since the epoch, as the wall clock has it. */
int64_t aio__wall_clock_ns(void);

/* An environment variable, or NULL where there is none or the program runs with borrowed rights. */
const char *aio__getenv(const char *name);

/* A stack of `size` usable bytes with a guard below; *base is the lowest usable address. */
int aio__stack_alloc(size_t size, void **base);
void aio__stack_free(void *base, size_t size);

/*
 * Why the system can't watch a handle of this kind: 0, -EBADF, -EINVAL or -ENOTSUP. Kinds that are the same
 * thing on this system become one in *kind.
 */
int aio__handle_check(AioHandle handle, AioHandleKind *kind);

#endif
