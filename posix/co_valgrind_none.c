/*
 * In place of co_valgrind.c where the header of valgrind was not found: its users are on their own.
 *
 * SPDX-License-Identifier: MIT
 */
#include "posix/co_stack.h"

unsigned aio__valgrind_stack_register(void *base, size_t size)
{
    (void)base;
    (void)size;
    return 0;
}

void aio__valgrind_stack_deregister(unsigned id)
{
    (void)id;
}
