/*
 * The helpers of the tests of thread pools.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/pool_help.h"

static _Thread_local int here; /* its address names the thread */

int *pool_thread(void)
{
    return &here;
}

int pool_work(void *opaque)
{
    PoolJob *job = opaque;
    job->thread = pool_thread();
    if (job->running) {
        int running = atomic_fetch_add(job->running, 1) + 1;
        int peak = atomic_load(job->peak);
        while (running > peak && !atomic_compare_exchange_weak(job->peak, &peak, running)) {
            continue;
        }
    }
    if (job->order) {
        job->place = atomic_fetch_add(job->order, 1);
    }
    while (job->gate && !atomic_load(job->gate)) {
        fixture_sleep_ms(1);
    }
    if (job->running) {
        atomic_fetch_sub(job->running, 1);
    }
    job->ran++;
    return job->ret;
}

void pool_done(void *opaque, int64_t ret)
{
    PoolJob *job = opaque;
    job->done++;
    job->result = ret;
    job->home = pool_thread();
    job->done_in_cancel |= job->cancelling;
    if (job->left) {
        --*job->left;
    }
    while (job->wait_for && !job->wait_for->done) {
        drive(job->ctx, true);
    }
}

void pool_submit(AioContext *ctx, PoolJob *job)
{
    AioError *error = NULL;
    job->ctx = ctx;
    job->request =
        aio_thread_pool_submit(aio_get_thread_pool(ctx), pool_work, job, pool_done, job, &error);
    assert_non_null(job->request);
    assert_null(error);
}

void pool_wait(AioContext *ctx, PoolJob *job)
{
    while (!job->done) {
        drive(ctx, true);
    }
}
