/*
 * Threads that work on a context while the test runs it: see worker.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/worker.h"

static void worker_main(void *opaque)
{
    Worker *worker = opaque;
    worker->work(worker);
    atomic_store(&worker->done, true);
    aio_notify(worker->ctx);
}

FixtureThread *worker_start(Worker *worker, AioContext *ctx, void (*work)(Worker *worker))
{
    worker->ctx = ctx;
    worker->work = work;
    atomic_store(&worker->done, false);
    worker->end = fixture_now_ns() + 1500000000 * (int64_t)fixture_long();
    return fixture_thread_start(worker_main, worker);
}

void worker_run_with(AioContext *ctx, Worker *workers, int count, FixtureThread **threads)
{
    for (int i = 0; i < count; i++) {
        while (!atomic_load(&workers[i].done)) {
            drive(ctx, true);
        }
        fixture_thread_join(threads[i]);
        assert_false(workers[i].bad);
        assert_false(workers[i].early);
    }
}

void worker_run(AioContext *ctx, Worker *worker, void (*work)(Worker *worker))
{
    FixtureThread *thread = worker_start(worker, ctx, work);
    worker_run_with(ctx, worker, 1, &thread);
}

bool worker_await(Worker *worker, int step)
{
    int64_t end = fixture_now_ns() + 20000000000;
    while (atomic_load(&worker->step) < step) {
        if (fixture_now_ns() > end) {
            return false;
        }
        fixture_yield();
    }
    return true;
}
