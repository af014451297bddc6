/*
 * The program of README.md, in its narrower form.
 *
 * SPDX-License-Identifier: MIT
 */
/* clang-format off */
#include <aioctx/aioctx.h>
#include <stdio.h>

static AioContext *here, *there; /* this thread's loop, and the worker's */
static void done(void *text) { puts((char *)text); aio_context_stop(here); }
static void work(void *text) { aio_bh_schedule_oneshot(here, done, text); }
static void tick(void *text) { puts("tick"); aio_bh_schedule_oneshot(there, work, text); }

int main(void)
{
    AioError *error = NULL;
    AioThread *worker = aio_thread_start(NULL, &error);
    here = worker ? aio_context_new(&error) : NULL;
    if (!here) {
        fprintf(stderr, "%s\n", aio_error_message(error));
        return 1;
    }
    there = aio_thread_context(worker);
    AioTimer timer;
    aio_timer_init(here, &timer, AIO_CLOCK_REALTIME, AIO_SCALE_MS, tick, (void *)"hello from the worker");
    aio_timer_mod(&timer, aio_clock_get_ms(AIO_CLOCK_REALTIME) + 100);
    aio_context_run(here); /* tick() after 100 ms, then work() in the worker, then done() here */
    aio_thread_join(worker);
    aio_context_unref(here);
}
