/*
 * Tells valgrind that a piece of memory is a stack, so that it does not take a switch for a wild change of
 * the stack pointer. Costs a few instructions where the program does not run under it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <valgrind/valgrind.h>

#include "posix/co_stack.h"

unsigned aio__valgrind_stack_register(void *base, size_t size)
{
    return (unsigned)VALGRIND_STACK_REGISTER(base, (char *)base + size);
}

void aio__valgrind_stack_deregister(unsigned id)
{
    VALGRIND_STACK_DEREGISTER(id);
}
