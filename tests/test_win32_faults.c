/*
 * Windows' handles and sockets where memory is refused at each point of a registration in turn: it is told, and leaves nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/win32_help.h"

#include <errno.h>

#include "core/alloc.h"

enum { N = 66 }; /* more than one thread waits for, and than one call takes */

/* Returns whether there was an n-th request for memory, which was refused. */
static bool watch_all(AioContext *ctx, Watched *w, unsigned n)
{
    aio__alloc_fail_at(n);
    for (int i = 0; i < N; i++) {
        AioError *error = NULL;
        w[i] = (Watched){.calls = 0};
        if (!try_watch(&w[i], ctx, auto_event(false), 0, &error)) {
            assert_int_equal(aio_error_code(error), ENOMEM);
            aio_error_free(error);
            w[i].error = -ENOMEM;
        }
    }
    while (drive(ctx, false)) {
        continue;
    }
    bool failed = aio__alloc_failed();
    aio__alloc_fail_at(0);
    return failed;
}

static void serve_all(AioContext *ctx, Watched *w)
{
    int failures = 0;
    for (int i = 0; i < N; i++) {
        if (w[i].error) {
            assert_int_equal(w[i].error, -ENOMEM);
            failures++;
            watch(&w[i], ctx, w[i].handle);
        }
    }
    assert_in_range(failures, 0, 1);
    for (int i = 0; i < N; i += 13) {
        SetEvent(w[i].handle);
        assert_true(drive(ctx, i % 2));
        assert_int_equal(w[i].calls, 1);
    }
    for (int i = 0; i < N; i++) {
        close_watched(&w[i]);
    }
}

static void refused_memory_costs_one_handle_its_registration_at_most(void **state)
{
    (void)state;
    Watched w[N];
    bool failed = true;
    unsigned n, before = 0;
    /* All about the first threads, and some of what is the same for each handle between. */
    for (n = 1; failed; n += n < 10 || n > 110 ? 1 : 7) {
        AioContext *ctx = fixture_home();
        failed = watch_all(ctx, w, n);
        serve_all(ctx, w);
        aio_error_free(aio_context_take_error(ctx));
        fixture_context_free(ctx);
        before = n == 9 ? fixture_open_handles() : before;
    }
    assert_true(n > N);
    assert_true(fixture_handles_left(before + 5));
}

static void note_error(void *opaque, int error)
{
    Probe *probe = opaque;
    probe->errors++;
    probe->error = error;
}

static void never_called(void *opaque)
{
    ((Probe *)opaque)->reads++;
}

static void socket_that_was_refused_for_memory_belongs_to_its_user(AioContext *ctx)
{
    AioHandlerOps ops = {.size = sizeof(ops), .read = never_called, .error = note_error};
    int told = 0;
    for (unsigned n = 1; n < 10; n++) {
        Probe probe;
        probe_open(&probe, ctx);
        aio__alloc_fail_at(n);
        aio_handler_set(ctx, probe.pair.a, AIO_HANDLE_SOCKET, 0, &ops, &probe, NULL);
        while (drive(ctx, false)) {
            continue;
        }
        aio__alloc_fail_at(0);
        if (probe.errors) {
            u_long blocking = 0; /* which is refused while an event is associated */
            assert_int_equal(probe.error, -ENOMEM);
            assert_int_equal(ioctlsocket((SOCKET)probe.pair.a, (long)FIONBIO, &blocking), 0);
            aio_error_free(aio_context_take_error(ctx));
            told++;
        }
        assert_int_equal(probe.reads, 0);
        probe_close(&probe);
    }
    assert_in_range(told, 1, 3);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(refused_memory_costs_one_handle_its_registration_at_most),
    cmocka_unit_test_home(socket_that_was_refused_for_memory_belongs_to_its_user),
};
TEST_MAIN(tests)
