/*
 * Jobs for the tests of thread pools, and what became of them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_TESTS_POOL_HELP_H
#define AIOCTX_TESTS_POOL_HELP_H

#include "tests/fixture.h"

/* A job, what it does, and what became of it. */
typedef struct PoolJob {
    AioContext *ctx;
    AioRequest *request;
    atomic_int *gate; /* wait until this is not 0 */
    atomic_int *running;
    atomic_int *peak;
    atomic_int *order;
    int ret;
    int place; /* in `order` */
    int *thread;
    int ran;
    int done;
    int64_t result;
    int *home;
    bool cancelling; /* a cancel is on the stack */
    bool done_in_cancel;
    struct PoolJob *wait_for; /* in the callback, by polling */
    int *left;
} PoolJob;

/* Names the calling thread. */
int *pool_thread(void);

/* What a worker does with a PoolJob, and its completion. */
int pool_work(void *opaque);
void pool_done(void *opaque, int64_t ret);

/* Submit a job that the caller prepared; wait until it is done. */
void pool_submit(AioContext *ctx, PoolJob *job);
void pool_wait(AioContext *ctx, PoolJob *job);

#endif
