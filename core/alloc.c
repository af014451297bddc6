/*
 * The door to malloc(3). It costs one relaxed load outside of tests.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_uint countdown; /* 0: off; n: the n-th request from now is refused */
static atomic_bool refuse_all;
static atomic_bool refused;

static bool refuse(void)
{
    if (atomic_load_explicit(&countdown, memory_order_relaxed) == 0) {
        return false;
    }
    if (atomic_load_explicit(&refuse_all, memory_order_relaxed)) {
        atomic_store_explicit(&refused, true, memory_order_relaxed);
        return true;
    }
    unsigned before = atomic_fetch_sub_explicit(&countdown, 1, memory_order_relaxed);
    if (before == 0) { /* two requests raced for the last count */
        atomic_store_explicit(&countdown, 0, memory_order_relaxed);
        return false;
    }
    if (before > 1) {
        return false;
    }
    atomic_store_explicit(&refused, true, memory_order_relaxed);
    return true;
}

void *aio__malloc(size_t size)
{
    return refuse() ? NULL : malloc(size);
}

void *aio__calloc(size_t count, size_t size)
{
    return refuse() ? NULL : calloc(count, size);
}

void *aio__realloc(void *memory, size_t size)
{
    return refuse() ? NULL : realloc(memory, size);
}

void aio__free(void *memory)
{
    free(memory);
}

char *aio__strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = aio__malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

void aio__alloc_fail_at(unsigned n)
{
    atomic_store_explicit(&refused, false, memory_order_relaxed);
    atomic_store_explicit(&countdown, n, memory_order_relaxed);
}

void aio__alloc_refuse_all(bool all)
{
    atomic_store_explicit(&refuse_all, all, memory_order_relaxed);
    aio__alloc_fail_at(all ? 1 : 0);
}

bool aio__alloc_failed(void)
{
    return atomic_load_explicit(&refused, memory_order_relaxed);
}
