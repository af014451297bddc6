/*
 * Which paths and handles are files on Windows: paths beyond ASCII, handles opened in every way, and what is none.
 *
 * SPDX-License-Identifier: MIT
 */
#define WIN32_LEAN_AND_MEAN
#define _WIN32_WINNT 0x0602
#include <windows.h>

#include <errno.h>

#include "tests/file_help.h"

#define SHARE_ALL (FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE)

/* A path in the directory for temporary files, of this process alone. */
static void path_of(char *path, size_t size, const char *name)
{
    char directory[MAX_PATH];
    assert_in_range(GetTempPathA(sizeof(directory), directory), 1, sizeof(directory));
    snprintf(path, size, "%saioctx-%lu-%s", directory, GetCurrentProcessId(), name);
}

static void widen(wchar_t *wide, int size, const char *path)
{
    assert_int_not_equal(MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, size),
                         0);
}

/* Latin, Cyrillic, Japanese, and one beyond the first plane. */
static void paths_beyond_ascii_are_created_and_found_again(AioContext *ctx)
{
    static const char *const names[] = {
        "\xc3\xa4\xc3\xb6\xc3\xbc.img", "\xd0\xb4\xd0\xb8\xd1\x81\xd0\xba",
        "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", "\xf0\x9f\x92\xbe and spaces"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[MAX_PATH + 64], in[4] = "";
        wchar_t wide[MAX_PATH + 64];
        path_of(path, sizeof(path), names[i]);
        widen(wide, MAX_PATH + 64, path);
        DeleteFileW(wide);
        AioFile *file = file_open_ok(ctx, path, RW | AIO_FILE_CREATE);
        assert_int_equal(file_write(ctx, file, "abc", 3, 0, 0), 3);
        aio_file_close(file);
        /* By the name that other programs see. */
        assert_int_not_equal(GetFileAttributesW(wide), INVALID_FILE_ATTRIBUTES);
        file = file_open_ok(ctx, path, AIO_FILE_READ);
        assert_int_equal(file_read(ctx, file, in, 3, 0), 3);
        assert_string_equal(in, "abc");
        aio_file_close(file);
        assert_true(DeleteFileW(wide));
        AioError *error = NULL;
        assert_null(aio_file_open(ctx, path, AIO_FILE_READ, &error));
        assert_int_equal(aio_error_code(error), ENOENT);
        assert_non_null(strstr(aio_error_message(error), names[i]));
        aio_error_free(error);
    }
}

static void path_that_is_not_utf8_is_refused(AioContext *ctx)
{
    static const char *const names[] = {"\xff", "a\xe4z", "\xe6\x97", "\xc0\xaf", "\xed\xa0\x80"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[MAX_PATH + 64];
        AioError *error = NULL;
        path_of(path, sizeof(path), names[i]);
        assert_null(aio_file_open(ctx, path, RW | AIO_FILE_CREATE, &error));
        assert_int_equal(aio_error_code(error), EILSEQ);
        assert_non_null(strstr(aio_error_message(error), path));
        assert_non_null(strstr(aio_error_message(error), "multibyte"));
        aio_error_free(error);
    }
}

static void handles_work_however_they_were_opened(AioContext *ctx)
{
    enum { N = 8 };
    static const DWORD ways[] = {FILE_ATTRIBUTE_NORMAL, FILE_FLAG_OVERLAPPED,
                                 FILE_FLAG_OVERLAPPED | FILE_FLAG_WRITE_THROUGH};
    for (size_t way = 0; way < sizeof(ways) / sizeof(ways[0]); way++) {
        FixtureFile name = fixture_file(0);
        FileDone done[N];
        char out[N], in[N] = "", byte = 0;
        HANDLE handle = CreateFileA(name.path, GENERIC_READ | GENERIC_WRITE, SHARE_ALL, NULL,
                                    OPEN_EXISTING, ways[way], NULL);
        AioFile *file = aio_file_from_handle(ctx, (AioHandle)handle, true, NULL);
        assert_non_null(file);
        int left = N; /* all at once, each to a place of its own */
        for (int i = 0; i < N; i++) {
            out[i] = (char)('a' + i);
            AioIoVec piece = {.base = &out[i], .len = 1};
            done[i] = (FileDone){.ctx = ctx, .left = &left};
            assert_non_null(aio_file_pwritev(file, &piece, 1, i, 0, file_done, &done[i], NULL));
        }
        while (left > 0) {
            drive(ctx, true);
        }
        for (int i = 0; i < N; i++) {
            assert_int_equal(done[i].ret, 1);
        }
        assert_int_equal(file_read(ctx, file, in, N, 0), N);
        assert_memory_equal(in, out, N);
        assert_int_equal(file_read(ctx, file, &byte, 1, N), 0); /* the end is no error */
        assert_int_equal(file_zero(ctx, file, 2, 3, 0), 0);
        assert_int_equal(aio_file_size(file), N);
        aio_file_close(file);
        fixture_file_remove(&name);
    }
}

/* The handle's owner has requests of its own on that port; ours are none of its business. */
static void port_of_the_handles_owner_gets_nothing(AioContext *ctx)
{
    char in[4] = "";
    FixtureFile name = fixture_file(0);
    HANDLE handle = CreateFileA(name.path, GENERIC_READ | GENERIC_WRITE, SHARE_ALL, NULL,
                                OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
    HANDLE port = CreateIoCompletionPort(handle, NULL, 1, 0);
    assert_non_null(port);
    AioFile *file = aio_file_from_handle(ctx, (AioHandle)handle, false, NULL);
    assert_non_null(file);
    assert_int_equal(file_write(ctx, file, "abc", 3, 0, 0), 3);
    assert_int_equal(file_read(ctx, file, in, 3, 0), 3);
    assert_int_equal(file_read(ctx, file, in, 3, 100), 0);
    aio_file_close(file);
    DWORD bytes = 0;
    ULONG_PTR key = 0;
    OVERLAPPED *overlapped = NULL;
    assert_false(GetQueuedCompletionStatus(port, &bytes, &key, &overlapped, 20));
    assert_null(overlapped);
    CloseHandle(handle);
    CloseHandle(port);
    fixture_file_remove(&name);
}

static void expect_refusal(AioContext *ctx, HANDLE handle, int code)
{
    AioError *error = NULL;
    char text[32];
    snprintf(text, sizeof(text), "%lld", (long long)(intptr_t)handle);
    assert_null(aio_file_from_handle(ctx, (AioHandle)handle, true, &error));
    assert_int_equal(aio_error_code(error), code);
    assert_non_null(strstr(aio_error_message(error), text));
    aio_error_free(error);
}

static void what_is_no_disk_file_is_refused_and_stays_the_callers(AioContext *ctx)
{
    HANDLE from = NULL, to = NULL;
    char pipe[64];
    snprintf(pipe, sizeof(pipe), "\\\\.\\pipe\\aioctx-%lu", GetCurrentProcessId());
    assert_true(CreatePipe(&from, &to, NULL, 0));
    const struct {
        HANDLE handle;
        int code;
    } cases[] = {
        {from, ESPIPE},
        {to, ESPIPE},
        {CreateNamedPipeA(pipe, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED, 0, 1, 0, 0, 0, NULL),
         ESPIPE},
        {CreateFileA("NUL", GENERIC_READ, SHARE_ALL, NULL, OPEN_EXISTING, 0, NULL), ESPIPE},
        {CreateEventW(NULL, TRUE, FALSE, NULL), ESPIPE},
        {CreateFileA(fixture_directory(), GENERIC_READ, SHARE_ALL, NULL, OPEN_EXISTING,
                     FILE_FLAG_BACKUP_SEMANTICS, NULL),
         EISDIR},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_ptr_not_equal(cases[i].handle, INVALID_HANDLE_VALUE);
        expect_refusal(ctx, cases[i].handle, cases[i].code);
        assert_true(CloseHandle(cases[i].handle)); /* it was not taken over */
    }
    HANDLE console = CreateFileA("CONOUT$", GENERIC_READ | GENERIC_WRITE, SHARE_ALL, NULL,
                                 OPEN_EXISTING, 0, NULL);
    if (console != INVALID_HANDLE_VALUE) { /* there is none without a terminal */
        expect_refusal(ctx, console, ESPIPE);
        CloseHandle(console);
    }
}

static void path_of_no_disk_file_is_refused_and_leaves_no_handle(AioContext *ctx)
{
    char pipe[64];
    snprintf(pipe, sizeof(pipe), "\\\\.\\pipe\\aioctx-path-%lu", GetCurrentProcessId());
    HANDLE server =
        CreateNamedPipeA(pipe, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED, 0, 1, 0, 0, 0, NULL);
    assert_ptr_not_equal(server, INVALID_HANDLE_VALUE);
    const char *const paths[] = {pipe, "NUL", "\\\\.\\NUL"};
    unsigned handles = fixture_open_handles();
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        AioError *error = NULL;
        assert_null(aio_file_open(ctx, paths[i], RW, &error));
        assert_int_equal(aio_error_code(error), ESPIPE);
        aio_error_free(error);
    }
    assert_true(fixture_handles_left(handles));
    CloseHandle(server);
}

static void file_that_others_keep_or_protect_says_so(AioContext *ctx)
{
    FixtureFile name = fixture_file(10);
    AioError *error = NULL;
    HANDLE alone = CreateFileA(name.path, GENERIC_READ, 0, NULL, OPEN_EXISTING, 0, NULL);
    assert_ptr_not_equal(alone, INVALID_HANDLE_VALUE);
    assert_null(aio_file_open(ctx, name.path, AIO_FILE_READ, &error));
    assert_int_equal(aio_error_code(error), EBUSY);
    aio_error_free(error);
    CloseHandle(alone);
    assert_true(SetFileAttributesA(name.path, FILE_ATTRIBUTE_READONLY));
    HANDLE anyway = CreateFileA(name.path, GENERIC_WRITE, SHARE_ALL, NULL, OPEN_EXISTING, 0, NULL);
    if (anyway == INVALID_HANDLE_VALUE) {
        error = NULL;
        assert_null(aio_file_open(ctx, name.path, RW, &error));
        assert_int_equal(aio_error_code(error), EACCES);
        aio_error_free(error);
    } else { /* Wine for a superuser */
        CloseHandle(anyway);
    }
    aio_file_close(file_open_ok(ctx, name.path, AIO_FILE_READ));
    SetFileAttributesA(name.path, FILE_ATTRIBUTE_NORMAL);
    fixture_file_remove(&name);
}

/* Another program has it open, and may take it away. */
static void open_file_can_be_renamed_and_deleted(AioContext *ctx)
{
    char in[4] = "", other[sizeof(((FixtureFile *)NULL)->path) + 8];
    FixtureFile name = fixture_file(0);
    snprintf(other, sizeof(other), "%s.moved", name.path);
    AioFile *file = file_open_ok(ctx, name.path, RW);
    assert_true(MoveFileA(name.path, other));
    assert_int_equal(file_write(ctx, file, "abc", 3, 0, 0), 3);
    assert_true(DeleteFileA(other));
    assert_int_equal(file_read(ctx, file, in, 3, 0), 3);
    assert_string_equal(in, "abc");
    aio_file_close(file);
    assert_int_equal(GetFileAttributesA(other), INVALID_FILE_ATTRIBUTES);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(paths_beyond_ascii_are_created_and_found_again),
    cmocka_unit_test_home(path_that_is_not_utf8_is_refused),
    cmocka_unit_test_home(handles_work_however_they_were_opened),
    cmocka_unit_test_home(port_of_the_handles_owner_gets_nothing),
    cmocka_unit_test_home(what_is_no_disk_file_is_refused_and_stays_the_callers),
    cmocka_unit_test_home(path_of_no_disk_file_is_refused_and_leaves_no_handle),
    cmocka_unit_test_home(file_that_others_keep_or_protect_says_so),
    cmocka_unit_test_home(open_file_can_be_renamed_and_deleted),
};
TEST_MAIN(tests)
