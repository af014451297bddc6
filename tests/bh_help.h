/*
 * What the tests of bottom halves share: one that counts its runs.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_TESTS_BH_HELP_H
#define AIOCTX_TESTS_BH_HELP_H

#include "tests/fixture.h"

/* A bottom half that counts its runs, and does what a test asks for in its callback. */
typedef struct Counter {
    AioContext *ctx;
    AioBh *bh;
    int runs;
    int reschedule; /* so many times, from the callback */
    AioBh *delete;  /* from the callback */
    AioBh *cancel;
    AioBh *schedule;
    bool nested; /* poll from the callback */
    int seen;    /* `runs` of another when this ran */
    struct Counter *look_at;
} Counter;

/* The callback of a Counter. */
void count(void *opaque);

/* One that only counts, with a new bottom half of `ctx`. */
void counter_init(Counter *counter, AioContext *ctx);

/* Delete its bottom half, unless its callback did. */
void counter_done(Counter *counter);

#endif
