/*
 * Files as Windows has them: alignment, and pipes, which are none. What opens is in test_win32_file_open.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/win32_help.h"

#include <errno.h>

#include "tests/file_help.h"

static void misaligned_transfers_past_the_cache_are_refused(AioContext *ctx)
{
    static _Alignas(4096) char buffer[8192];
    FixtureFile name = fixture_file(8192);
    AioFile *file = file_open_ok(ctx, name.path, RW | AIO_FILE_DIRECT);
    assert_int_equal(file_read(ctx, file, buffer, 4096, 0), 4096);
    assert_int_equal(file_write(ctx, file, buffer, 4096, 4096, 0), 4096);
    assert_int_equal(file_read(ctx, file, buffer, 4096, 100), -EINVAL);
    assert_int_equal(file_read(ctx, file, buffer + 1, 4096, 0), -EINVAL);
    assert_int_equal(file_read(ctx, file, buffer, 1000, 0), -EINVAL);
    assert_int_equal(file_write(ctx, file, buffer, 1000, 0, 0), -EINVAL);
    aio_file_close(file);
    fixture_file_remove(&name);
}

static void pipes_are_watched_by_their_events(AioContext *ctx)
{
    Watched w = {.calls = 0};
    char in[8] = "";
    DWORD n = 0;
    char pipe[64];
    snprintf(pipe, sizeof(pipe), "\\\\.\\pipe\\aioctx-event-%lu", GetCurrentProcessId());
    HANDLE server = CreateNamedPipeA(pipe, PIPE_ACCESS_INBOUND | FILE_FLAG_OVERLAPPED,
                                     PIPE_TYPE_BYTE | PIPE_WAIT, 1, 4096, 4096, 0, NULL);
    assert_ptr_not_equal(server, INVALID_HANDLE_VALUE);
    HANDLE client = CreateFileA(pipe, GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL);
    assert_ptr_not_equal(client, INVALID_HANDLE_VALUE);
    OVERLAPPED operation;
    memset(&operation, 0, sizeof(operation));
    operation.hEvent = manual_event(false);
    w.reset = true;
    watch(&w, ctx, operation.hEvent);
    assert_false(ReadFile(server, in, sizeof(in), NULL, &operation));
    assert_int_equal(GetLastError(), ERROR_IO_PENDING);
    assert_false(drive(ctx, false));
    assert_true(WriteFile(client, "hello", 5, &n, NULL));
    assert_true(drive(ctx, true));
    assert_int_equal(w.calls, 1);
    assert_true(GetOverlappedResult(server, &operation, &n, FALSE));
    assert_int_equal(n, 5);
    /* Cancelled midway. */
    assert_false(ReadFile(server, in, sizeof(in), NULL, &operation));
    assert_true(CancelIoEx(server, &operation));
    assert_true(drive(ctx, true));
    assert_int_equal(w.calls, 2);
    assert_false(GetOverlappedResult(server, &operation, &n, FALSE));
    assert_int_equal(GetLastError(), ERROR_OPERATION_ABORTED);
    close_watched(&w);
    CloseHandle(client);
    CloseHandle(server);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(misaligned_transfers_past_the_cache_are_refused),
    cmocka_unit_test_home(pipes_are_watched_by_their_events),
};
TEST_MAIN(tests)
