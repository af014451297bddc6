/*
 * Files as Windows has them: paths, kinds of handles, alignment.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/win32_help.h"

#include <errno.h>

#include "tests/file_help.h"

static void expect_refused(AioContext *ctx, const char *path, int code)
{
    AioError *error = NULL;
    assert_null(aio_file_open(ctx, path, AIO_FILE_READ, &error));
    assert_int_equal(aio_error_code(error), code);
    assert_non_null(strstr(aio_error_message(error), path));
    aio_error_free(error);
}

static void path_that_is_not_utf8_is_an_error(AioContext *ctx)
{
    expect_refused(ctx, "C:\\\xff\xfe", EILSEQ);
    expect_refused(ctx, "C:\\cut \xc3", EILSEQ);
    expect_refused(ctx, "C:\\no such directory\\x", ENOENT);
}

static void path_beyond_ascii_names_the_same_file_as_elsewhere(AioContext *ctx)
{
    const wchar_t name[] = L"aioctx \u00e4\u0434\u4e2d.img";
    wchar_t wide[MAX_PATH];
    char path[3 * MAX_PATH];
    char in[5] = "";
    DWORD length = GetTempPathW(MAX_PATH - 32, wide);
    assert_in_range(length, 1, MAX_PATH - 32);
    memcpy(wide + length, name, sizeof(name));
    WideCharToMultiByte(CP_UTF8, 0, wide, -1, path, sizeof(path), NULL, NULL);
    AioFile *file = file_open_ok(ctx, path, RW | AIO_FILE_CREATE | AIO_FILE_TRUNCATE);
    assert_int_equal(file_write(ctx, file, "hello", 5, 0, 0), 5);
    aio_file_close(file);
    HANDLE handle = CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL);
    assert_ptr_not_equal(handle, INVALID_HANDLE_VALUE);
    DWORD n = 0;
    assert_true(ReadFile(handle, in, sizeof(in), &n, NULL));
    assert_int_equal(n, 5);
    assert_memory_equal(in, "hello", 5);
    CloseHandle(handle);
    assert_true(DeleteFileW(wide));
}

static void handles_opened_in_both_ways_are_read_and_written(AioContext *ctx)
{
    const DWORD ways[] = {0, FILE_FLAG_OVERLAPPED};
    for (size_t i = 0; i < 2; i++) {
        char in[5] = "";
        FixtureFile name = fixture_file(100);
        HANDLE handle = CreateFileA(name.path, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_DELETE,
                                    NULL, OPEN_EXISTING, ways[i], NULL);
        AioFile *file = aio_file_from_handle(ctx, (AioHandle)handle, true, NULL);
        assert_non_null(file);
        assert_int_equal(file_write(ctx, file, "hello", 5, 50, AIO_FILE_FUA), 5);
        assert_int_equal(file_read(ctx, file, in, 5, 50), 5);
        assert_memory_equal(in, "hello", 5);
        assert_int_equal(file_read(ctx, file, in, 5, 98), 2);
        aio_file_close(file);
        fixture_file_remove(&name);
    }
}

static void handle_that_is_no_file_is_an_error(AioContext *ctx)
{
    HANDLE from, to;
    AioError *error = NULL;
    assert_true(CreatePipe(&from, &to, NULL, 0));
    assert_null(aio_file_from_handle(ctx, (AioHandle)from, false, &error));
    assert_int_equal(aio_error_code(error), ESPIPE);
    aio_error_free(error);
    CloseHandle(from);
    CloseHandle(to);
    HANDLE event = auto_event(false);
    error = NULL;
    assert_null(aio_file_from_handle(ctx, (AioHandle)event, false, &error));
    assert_non_null(error);
    aio_error_free(error);
    CloseHandle(event);
    error = NULL;
    assert_null(aio_file_from_handle(ctx, 0x7ffffff4, false, &error));
    assert_int_equal(aio_error_code(error), EBADF);
    aio_error_free(error);
}

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
    HANDLE server =
        CreateNamedPipeA("\\\\.\\pipe\\aioctx-test", PIPE_ACCESS_INBOUND | FILE_FLAG_OVERLAPPED,
                         PIPE_TYPE_BYTE | PIPE_WAIT, 1, 4096, 4096, 0, NULL);
    assert_ptr_not_equal(server, INVALID_HANDLE_VALUE);
    HANDLE client =
        CreateFileA("\\\\.\\pipe\\aioctx-test", GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL);
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
    cmocka_unit_test_home(path_that_is_not_utf8_is_an_error),
    cmocka_unit_test_home(path_beyond_ascii_names_the_same_file_as_elsewhere),
    cmocka_unit_test_home(handles_opened_in_both_ways_are_read_and_written),
    cmocka_unit_test_home(handle_that_is_no_file_is_an_error),
    cmocka_unit_test_home(misaligned_transfers_past_the_cache_are_refused),
    cmocka_unit_test_home(pipes_are_watched_by_their_events),
};
TEST_MAIN(tests)
