/*
 * What ThreadSanitizer wants to know of a stack switch: which of its fibers runs. The files that
 * include this are compiled without its instrumentation, or function exits would count for the wrong fiber.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_POSIX_CO_CHECK_H
#define AIOCTX_POSIX_CO_CHECK_H

#include <sanitizer/tsan_interface.h>

#include "core/co_backend.h"

/* Right before the stack pointer changes. Fibers are few (8,000), so they are made on first entry. */
static inline void co_check_leave(AioCoState *from, AioCoState *to, AioCoLeave how)
{
    (void)how;
    if (!from->stack) {
        from->check = __tsan_get_current_fiber();
    }
    if (!to->check) {
        to->check = __tsan_create_fiber(0);
    }
    __tsan_switch_to_fiber(to->check, 0);
}

/* Right after: `self` goes on. A second call of the same arrival does nothing. */
static inline void co_check_arrive(AioCoState *self)
{
    (void)self;
}

/* Before the stack is freed. */
static inline void co_check_destroy(AioCoState *state)
{
    if (state->check) {
        __tsan_destroy_fiber(state->check);
    }
}

#endif
