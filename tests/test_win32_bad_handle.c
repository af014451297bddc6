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

/* Open events until one gets the number of one that was closed, as the system does sooner or later. */
static void reopen(HANDLE event)
{
    enum { TRIES = 200 };
    HANDLE others[TRIES];
    int n = 0;
    HANDLE got = auto_event(false);
    while (got != event && n < TRIES) {
        others[n++] = got;
        got = auto_event(false);
    }
    assert_ptr_equal(got, event);
    while (n > 0) {
        CloseHandle(others[--n]);
    }
}

static void notify_soon(void *ctx)
{
    fixture_sleep_ms(30);
    aio_notify(ctx);
}

/* The thread that waits for both finds out when it goes on without `other`, and home when all is well again. */
static void handle_that_is_well_again_when_it_is_sought_out_is_no_error(AioContext *ctx)
{
    Watched closed = {.calls = 0}, other = {.calls = 0};
    crowd_in(ctx, true);
    watch(&closed, ctx, auto_event(false));
    watch(&other, ctx, auto_event(false));
    FixtureThread *thread = fixture_thread_start(notify_soon, ctx);
    drive(ctx, true);
    fixture_thread_join(thread);
    CloseHandle(closed.handle);
    SetEvent(other.handle);
    fixture_sleep_ms(30);
    reopen(closed.handle);
    assert_true(drive(ctx, true));
    assert_int_equal(other.calls, 1);
    assert_null(aio_context_take_error(ctx));
    SetEvent(closed.handle);
    assert_true(drive(ctx, true));
    assert_int_equal(closed.calls, 1);
    assert_int_equal(closed.errors, 0);
    close_watched(&closed);
    close_watched(&other);
    crowd_out(true);
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
    cmocka_unit_test_home(handle_that_is_well_again_when_it_is_sought_out_is_no_error),
};
TEST_MAIN(tests)
