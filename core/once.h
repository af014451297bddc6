/*
 * Setting up what is global at its first use, since there are no constructors.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_ONCE_H
#define AIOCTX_CORE_ONCE_H

#include <stdatomic.h>

#include "core/platform.h"

/* Static storage: zero is UNUSED. UNUSED ──first caller──▶ RUNNING ──setup returned──▶ DONE */
enum { AIO_ONCE_UNUSED, AIO_ONCE_RUNNING, AIO_ONCE_DONE };

typedef struct AioOnce {
    _Atomic uint32_t state;
} AioOnce;

/* Have setup() called by one thread; all return after it has. It must be short. */
static inline void aio__once(AioOnce *once, void (*setup)(void))
{
    uint32_t expected = AIO_ONCE_UNUSED;
    /* acquire: pairs with the release below, in the thread that ran setup() */
    if (atomic_load_explicit(&once->state, memory_order_acquire) == AIO_ONCE_DONE) {
        return;
    }
    if (atomic_compare_exchange_strong_explicit(&once->state, &expected, AIO_ONCE_RUNNING,
                                                memory_order_relaxed, memory_order_relaxed)) {
        setup();
        /* release: pairs with the acquire loads of all other callers of aio__once() */
        atomic_store_explicit(&once->state, AIO_ONCE_DONE, memory_order_release);
        return;
    }
    while (atomic_load_explicit(&once->state, memory_order_acquire) != AIO_ONCE_DONE) {
        aio__thread_yield(); /* acquire: as above */
    }
}

#endif
