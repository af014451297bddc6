/*
 * Condition variables. Windows counts their time-outs in milliseconds and may come back a little early: the end is told
 * by the clock that the rest of the library uses.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/platform.h"
#include "win32/time.h"

_Static_assert(sizeof(CONDITION_VARIABLE) <= sizeof(AioCond), "AioCond is too small");

static SRWLOCK *os_mutex(AioMutex *mutex)
{
    return (SRWLOCK *)(void *)mutex->storage;
}

static CONDITION_VARIABLE *os_cond(AioCond *cond)
{
    return (CONDITION_VARIABLE *)(void *)cond->storage;
}

void aio__cond_init(AioCond *cond)
{
    InitializeConditionVariable(os_cond(cond));
}

void aio__cond_destroy(AioCond *cond)
{
    (void)cond; /* it holds nothing */
}

void aio__cond_wait(AioCond *cond, AioMutex *mutex)
{
    SleepConditionVariableSRW(os_cond(cond), os_mutex(mutex), INFINITE, 0);
}

bool aio__cond_timedwait(AioCond *cond, AioMutex *mutex, int64_t timeout_ns)
{
    int64_t deadline = aio__deadline(timeout_ns);
    int64_t left = timeout_ns;
    do {
        if (SleepConditionVariableSRW(os_cond(cond), os_mutex(mutex), aio__timeout_ms(left), 0)) {
            return true;
        }
        left = deadline - aio__monotonic_ns();
    } while (left > 0);
    return false;
}

void aio__cond_signal(AioCond *cond)
{
    WakeConditionVariable(os_cond(cond));
}

void aio__cond_broadcast(AioCond *cond)
{
    WakeAllConditionVariable(os_cond(cond));
}
