/*
 * Memory for the whole library, by one door, so that a test can refuse the n-th request.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_ALLOC_H
#define AIOCTX_CORE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* As malloc(3) and its like. */
void *aio__malloc(size_t size);
void *aio__calloc(size_t count, size_t size);
void *aio__realloc(void *memory, size_t size);
void aio__free(void *memory);
char *aio__strdup(const char *text);

/* Refuse the n-th request from now on (1: the next), once; 0: none. For tests. */
void aio__alloc_fail_at(unsigned n);

/* Refuse every request from now on, or none any more. For tests. */
void aio__alloc_refuse_all(bool all);

/* Whether a request was refused since one of these two. For tests. */
bool aio__alloc_failed(void);

#endif
