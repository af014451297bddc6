/*
 * What AddressSanitizer wants to know of a stack switch: the bounds of the stack to come, and where the
 * fake frames (detect_stack_use_after_return) of the one that is left are kept.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_POSIX_CO_CHECK_H
#define AIOCTX_POSIX_CO_CHECK_H

#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

#include "core/co_backend.h"

/* Right before the stack pointer changes. */
static inline void co_check_leave(AioCoState *from, AioCoState *to, AioCoLeave how)
{
    to->came_from = from;
    if (how == AIO_CO_LEAVE_END) {
        from->check = NULL;
        __sanitizer_start_switch_fiber(NULL, to->stack, to->stack_size);
    } else {
        __sanitizer_start_switch_fiber(&from->check, to->stack, to->stack_size);
    }
}

/*
 * Right after: `self` goes on. A second call of the same arrival does nothing. Whoever was left can't go on
 * yet, so it may be told the bounds of its stack here, where it is a thread that did not know them.
 */
static inline void co_check_arrive(AioCoState *self)
{
    AioCoState *from = self->came_from;
    if (!from) {
        return;
    }
    self->came_from = NULL;
    const void *stack;
    size_t size;
    __sanitizer_finish_switch_fiber(self->check, &stack, &size);
    if (!from->stack) {
        from->stack = (void *)(uintptr_t)stack;
        from->stack_size = size;
    }
}

/* Before the stack is freed: other memory will be mapped there, and the last frame never returned. */
static inline void co_check_destroy(AioCoState *state)
{
    __asan_unpoison_memory_region(state->stack, state->stack_size);
}

#endif
