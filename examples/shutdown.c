/*
 * The end of a program with work under way, in the order that loses nothing:
 *   1. stop what brings new work: remove handlers and timers, tell producers;
 *   2. wait for what is under way: requests, coroutines, bottom halves already scheduled;
 *   3. join the threads: aio_thread_join() lets each run its context until nothing is left to do;
 *   4. delete what the loop does not own, then drop the last reference.
 * A thread is stopped by aio_thread_stop() or aio_thread_join(), never by a flag that its loop might not look at.
 *
 * Here a worker thread is sent jobs, and main ends while some are still running.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdatomic.h>
#include <stdio.h>

#include <aioctx/aioctx.h>

enum { JOBS = 5 };

typedef struct Program {
    AioContext *ctx; /* of main */
    AioThread *worker;
    AioTimer ticker; /* brings new work */
    int started;
    _Atomic int running;
    _Atomic int finished;
} Program;

/* A job: a coroutine in the worker's context that takes a while. */
static void job(void *opaque)
{
    Program *program = opaque;
    aio_co_sleep_ns(AIO_CLOCK_REALTIME, 50 * AIO_SCALE_MS);
    atomic_fetch_add(&program->finished, 1);
    atomic_fetch_sub(&program->running, 1);
    aio_wait_kick(); /* somebody may wait for jobs_left() to change */
}

static void tick(void *opaque)
{
    Program *program = opaque;
    AioCoroutine *co = aio_co_create(job, program);
    if (co) {
        program->started++;
        atomic_fetch_add(&program->running, 1);
        aio_co_enter(aio_thread_context(program->worker), co);
    }
    if (program->started == JOBS)
        aio_context_stop(program->ctx); /* a signal's notifier would do this; see signals.c */
    else
        aio_timer_mod_ns(&program->ticker,
                         aio_clock_get_ns(AIO_CLOCK_REALTIME) + 10 * AIO_SCALE_MS);
}

static bool jobs_left(void *opaque)
{
    Program *program = opaque;
    return atomic_load(&program->running) > 0;
}

static void end(Program *program)
{
    aio_timer_del(&program->ticker);
    printf("stopping with %d of %d jobs under way\n", atomic_load(&program->running),
           program->started);

    /* Runs main's own context meanwhile, so whatever the jobs need of it still works. */
    aio_wait_while(program->ctx, jobs_left, program);

    aio_thread_join(program->worker);
    while (aio_poll(program->ctx, false))
        ;
    aio_context_unref(program->ctx);
    printf("%d jobs finished\n", atomic_load(&program->finished));
}

int main(void)
{
    static Program program;
    AioError *error = NULL;
    program.ctx = aio_context_new(&error);
    if (program.ctx) {
        aio_context_bind(program.ctx);
        program.worker = aio_thread_start(NULL, &error);
    }
    if (!program.worker) {
        fprintf(stderr, "shutdown: %s\n", aio_error_message(error));
        aio_error_free(error);
        if (program.ctx)
            aio_context_unref(program.ctx);
        return 1;
    }

    aio_timer_init(program.ctx, &program.ticker, AIO_CLOCK_REALTIME, AIO_SCALE_NS, tick, &program);
    aio_timer_mod_ns(&program.ticker, aio_clock_get_ns(AIO_CLOCK_REALTIME));
    aio_context_run(program.ctx);
    end(&program);
    return atomic_load(&program.finished) == program.started ? 0 : 1;
}
