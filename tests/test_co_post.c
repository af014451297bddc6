/*
 * A thread that schedules a coroutine keeps the context alive: it counts as a poster from before the push on, since
 * the loop may enter the coroutine, and lose its last reference, at any moment after that. A signal handler
 * looks at the scheduling thread between any two of its instructions.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/context.h"
#include "tests/co_help.h"

typedef struct Watched {
    AioContext *ctx;
    atomic_bool scheduling; /* the thread is in aio_co_schedule() */
    atomic_int seen;        /* the coroutine was pushed, and the loop not told yet */
    atomic_int unprotected; /* and no poster was counted */
    int runs;
} Watched;

/* Once the bottom half is pushed, the loop may be told already, and the thread be on its way out. */
static void look(void *opaque)
{
    Watched *watched = opaque;
    AioContext *ctx = watched->ctx;
    if (atomic_load(&watched->scheduling) && atomic_load(&ctx->co.scheduled) &&
        !atomic_load(&ctx->bh.pushed)) {
        atomic_fetch_add(&watched->seen, 1);
        if (!(atomic_load(&ctx->notify.state) & AIO_NOTIFY_POSTERS)) {
            atomic_fetch_add(&watched->unprotected, 1);
        }
    }
}

static void run_and_wait(void *opaque)
{
    Watched *watched = opaque;
    while (watched->runs >= 0) {
        watched->runs++;
        aio_co_yield();
    }
}

static void who_schedules_is_a_poster_from_before_the_push_on(void **state)
{
    (void)state;
    Watched watched = {.ctx = fixture_context()};
    AioCoroutine *co = co_make(run_and_wait, &watched);
    aio_context_bind(watched.ctx);
    if (!fixture_signal_start(look, &watched, 50)) {
        fixture_skip("no signals here");
    }
    int rounds = 0;
    for (int64_t end = co_end(); fixture_now_ns() < end; rounds++) {
        atomic_store(&watched.scheduling, true);
        aio_co_schedule(watched.ctx, co);
        atomic_store(&watched.scheduling, false);
        drive(watched.ctx, false);
    }
    fixture_signal_stop();
    assert_int_equal(watched.runs, rounds);
    assert_int_equal(atomic_load(&watched.unprotected), 0);
    print_message("looked at %d of %d in between\n", atomic_load(&watched.seen), rounds);
    watched.runs = -1;
    aio_co_resume(co);
    fixture_context_free(watched.ctx);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(who_schedules_is_a_poster_from_before_the_push_on),
};
TEST_MAIN(tests)
