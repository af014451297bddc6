/*
 * The stacks of both POSIX backends: mapped with a guard page, and known to valgrind where its header was
 * found at build time.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_POSIX_CO_STACK_H
#define AIOCTX_POSIX_CO_STACK_H

#include <string.h>

#include "co_check.h"
#include "core/co_backend.h"
#include "core/platform.h"

/* In co_valgrind.c, or co_valgrind_none.c, which does nothing. */
unsigned aio__valgrind_stack_register(void *base, size_t size);
void aio__valgrind_stack_deregister(unsigned id);

static inline int co_stack_init(AioCoState *state, size_t size, void (*run)(void *), void *arg)
{
    memset(state, 0, sizeof(*state));
    int ret = aio__stack_alloc(size, &state->stack);
    if (ret < 0) {
        return ret;
    }
    state->stack_size = size;
    state->run = run;
    state->arg = arg;
    state->stack_id = aio__valgrind_stack_register(state->stack, size);
    return 0;
}

static inline void co_stack_destroy(AioCoState *state)
{
    co_check_destroy(state);
    aio__valgrind_stack_deregister(state->stack_id);
    aio__stack_free(state->stack, state->stack_size);
}

#endif
