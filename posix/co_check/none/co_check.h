/*
 * What memory and race checkers want to know of a stack switch: there is none in this build.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_POSIX_CO_CHECK_H
#define AIOCTX_POSIX_CO_CHECK_H

#include "core/co_backend.h"

/* Right before the stack pointer changes. */
static inline void co_check_leave(AioCoState *from, AioCoState *to, AioCoLeave how)
{
    (void)from;
    (void)to;
    (void)how;
}

/* Right after: `self` goes on. A second call of the same arrival does nothing. */
static inline void co_check_arrive(AioCoState *self)
{
    (void)self;
}

/* Before the stack is freed. */
static inline void co_check_destroy(AioCoState *state)
{
    (void)state;
}

#endif
