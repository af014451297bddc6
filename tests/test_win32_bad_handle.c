/*
 * Windows' handles that can't be watched, from the start or at some point.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/win32_help.h"

static void on_signal(void *opaque)
{
    ((Watched *)opaque)->calls++;
}

static void on_error(void *opaque, int error)
{
    Watched *watched = opaque;
    watched->errors++;
    watched->error = error;
}

static void what_can_not_be_watched_is_an_error_that_names_it(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Watched w = {.calls = 0};
    AioError *error = NULL;
    HANDLE mutex = CreateMutexW(NULL, FALSE, NULL);
    assert_false(try_watch(&w, ctx, mutex, 0, &error));
    assert_int_equal(aio_error_code(error), ENOTSUP);
    aio_error_free(error);
    CloseHandle(mutex);
    const AioHandle bad[] = {0, -1, -2, 0x7ffffff4};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[32];
        error = NULL;
        assert_false(try_watch(&w, ctx, (HANDLE)bad[i], 0, &error));
        assert_int_equal(aio_error_code(error), EBADF);
        snprintf(text, sizeof(text), "%d", (int)bad[i]);
        assert_non_null(strstr(aio_error_message(error), text));
        aio_error_free(error);
    }
    HANDLE event = manual_event(false);
    AioHandlerOps ops = {.size = sizeof(ops), .read = on_signal, .error = on_error};
    aio_handler_set(ctx, (AioHandle)event, AIO_HANDLE_SOCKET, 0, &ops, &w, NULL);
    drive(ctx, false);
    assert_int_equal(w.errors, 1);
    assert_int_equal(w.error, -ENOTSOCK);
    probe_expect_error(ctx, ENOTSOCK, "can't be watched");
    aio_handler_remove(ctx, (AioHandle)event, AIO_HANDLE_SOCKET);
    CloseHandle(event);
    assert_int_equal(w.calls, 0);
    fixture_context_free(ctx);
}

static void handle_closed_under_the_loop_is_reported_once_and_others_are_served(void **state)
{
    (void)state;
    for (int crowded = 0; crowded < 2; crowded++) {
        AioContext *ctx = fixture_home();
        Watched closed = {.calls = 0}, other = {.calls = 0};
        crowd_in(ctx, crowded);
        watch(&closed, ctx, manual_event(false));
        watch(&other, ctx, auto_event(false));
        CloseHandle(closed.handle);
        SetEvent(other.handle);
        while (closed.errors == 0 || other.calls == 0) {
            drive(ctx, false);
        }
        assert_int_equal(closed.errors, 1);
        assert_int_equal(closed.error, -EBADF);
        assert_int_equal(other.calls, 1);
        probe_expect_error(ctx, EBADF, "can't be watched");
        assert_in_range(probe_sleep(ctx, 30), 1, 10);
        unwatch(&closed);
        close_watched(&other);
        crowd_out(crowded);
        fixture_context_free(ctx);
    }
}

static void what_turns_out_to_be_no_object_to_wait_for_is_reported_once(void **state)
{
    (void)state;
    for (int crowded = 0; crowded < 2; crowded++) {
        AioContext *ctx = fixture_home();
        Watched bad = {.calls = 0}, other = {.calls = 0};
        crowd_in(ctx, crowded);
        watch(&bad, ctx,
              CreateFileMappingW(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, 4096, NULL));
        watch(&other, ctx, auto_event(true));
        while (bad.errors == 0 || other.calls == 0) {
            drive(ctx, false);
        }
        assert_int_equal(bad.errors, 1);
        assert_true(bad.error == -ENOTSUP || bad.error == -EACCES); /* whichever comes first */
        assert_int_equal(bad.calls, 0);
        assert_int_equal(other.calls, 1);
        probe_expect_error(ctx, -bad.error, "can't be watched");
        assert_in_range(probe_sleep(ctx, 30), 1, 10);
        close_watched(&bad);
        close_watched(&other);
        crowd_out(crowded);
        fixture_context_free(ctx);
    }
}

static void socket_closed_under_the_loop_is_reported_once_and_others_are_served(void **state)
{
    (void)state;
    const unsigned wanted[] = {PROBE_READ, PROBE_READ | PROBE_WRITE};
    for (size_t i = 0; i < 2; i++) {
        AioContext *ctx = fixture_home();
        Probe before, closed, behind;
        probe_open_reader(&before, ctx);
        probe_open(&closed, ctx);
        probe_set(&closed, wanted[i] | PROBE_ERROR, 0);
        probe_open_reader(&behind, ctx);
        closesocket((SOCKET)closed.pair.a);
        probe_ping(&before);
        probe_ping(&behind);
        while (closed.errors == 0 || before.reads == 0 || behind.reads == 0) {
            drive(ctx, false);
        }
        assert_int_equal(closed.errors, 1);
        assert_int_equal(closed.error, -EBADF);
        assert_int_equal(closed.calls, 0);
        probe_expect_error(ctx, EBADF, "can't be watched");
        assert_in_range(probe_sleep(ctx, 30), 1, 10);
        assert_int_equal(closed.errors, 1);
        probe_ping(&behind);
        assert_true(drive(ctx, true));
        assert_int_equal(behind.reads, 2);
        probe_remove(&closed);
        closesocket((SOCKET)closed.pair.b);
        probe_close(&before);
        probe_close(&behind);
        fixture_context_free(ctx);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_can_not_be_watched_is_an_error_that_names_it),
    cmocka_unit_test(handle_closed_under_the_loop_is_reported_once_and_others_are_served),
    cmocka_unit_test(socket_closed_under_the_loop_is_reported_once_and_others_are_served),
    cmocka_unit_test(what_turns_out_to_be_no_object_to_wait_for_is_reported_once),
};
TEST_MAIN(tests)
