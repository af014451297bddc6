/*
 * Stacks of coroutines: reserved address space, backed by memory as it is touched, above a guard page that
 * turns an overflow into a fault.
 *
 * SPDX-License-Identifier: MIT
 */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/platform.h"

#ifndef MAP_STACK
#define MAP_STACK 0
#endif
#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

static size_t guard_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

int aio__stack_alloc(size_t size, void **base)
{
    size_t guard = guard_size();
    char *map = mmap(NULL, size + guard, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) {
        return -errno;
    }
    if (mprotect(map, guard, PROT_NONE) < 0) {
        int error = errno;
        munmap(map, size + guard);
        return -error;
    }
    *base = map + guard;
    return 0;
}

void aio__stack_free(void *base, size_t size)
{
    size_t guard = guard_size();
    munmap((char *)base - guard, size + guard);
}
