/*
 * A thread that works on a context, while the test's own thread runs it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_TESTS_WORKER_H
#define AIOCTX_TESTS_WORKER_H

#include "tests/probe.h"

typedef struct Worker {
    AioContext *ctx;
    void (*work)(struct Worker *worker);
    Probe *probe;
    int64_t end; /* of a hammer */
    atomic_int step;
    atomic_bool done;
    bool bad;   /* the worker's, looked at after the join */
    bool early; /* the loop's, the same */
} Worker;

FixtureThread *worker_start(Worker *worker, AioContext *ctx, void (*work)(Worker *worker));

/* Run the loop until all workers are done. */
void worker_run_with(AioContext *ctx, Worker *workers, int count, FixtureThread **threads);

/* Start one, and run the loop until it is done. */
void worker_run(AioContext *ctx, Worker *worker, void (*work)(Worker *worker));

/* In a worker: wait until somebody has set the step; false where nobody does. */
bool worker_await(Worker *worker, int step);

#endif
