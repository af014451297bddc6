/*
 * Files that open or don't, and requests that are refused: flags, access, handles, locks, limits.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "tests/file_help.h"

/* What a refused request left in *errp. */
static void expect_error(AioRequest *request, AioError **errp, int code, const char *text)
{
    assert_null(request);
    assert_non_null(*errp);
    assert_int_equal(aio_error_code(*errp), code);
    if (!strstr(aio_error_message(*errp), text)) {
        print_error("\"%s\" does not name %s\n", aio_error_message(*errp), text);
        fail();
    }
    aio_error_free(*errp);
    *errp = NULL;
}

static void handle_of_a_file_is_the_open_one(AioContext *ctx)
{
    char byte = 0;
    AioContext *other = fixture_context();
    FixtureFile name = fixture_file(10);
    AioHandle given = fixture_file_handle(&name, true);
    AioFile *wrapped = aio_file_from_handle(ctx, given, false, NULL);
    assert_non_null(wrapped);
    assert_true(aio_file_handle(wrapped) == given);
    aio_file_close(wrapped);
    assert_true(fixture_is_open(given)); /* it was lent */
    fixture_close(given);

    AioFile *file = file_open_ok(ctx, name.path, RW);
    AioHandle handle = aio_file_handle(file);
    assert_true(fixture_is_open(handle));
    assert_true(aio_file_handle(file) == handle);
    /* Another context uses the same open file. */
    AioFile *second = aio_file_from_handle(other, handle, false, NULL);
    assert_non_null(second);
    assert_int_equal(file_write(ctx, file, "x", 1, 3, 0), 1);
    assert_int_equal(file_read(other, second, &byte, 1, 3), 1);
    assert_int_equal(byte, 'x');
    aio_file_close(second);
    assert_true(fixture_is_open(handle));
    aio_file_close(file);
    assert_false(fixture_is_open(handle));
    fixture_file_remove(&name);
    fixture_context_free(other);
}

static void impossible_requests_are_refused_and_the_value_named(AioContext *ctx)
{
    char byte = 0;
    AioIoVec one = {.base = &byte, .len = 1};
    AioIoVec huge[2] = {{.base = &byte, .len = SIZE_MAX / 2}, {.base = &byte, .len = SIZE_MAX / 2}};
    FileDone d = {.calls = 0};
    AioError *e = NULL;
    FixtureFile name = fixture_file(10);
    AioFile *f = file_open_ok(ctx, name.path, RW);
    expect_error(aio_file_preadv(f, &one, 1, -5, file_done, &d, &e), &e, EINVAL, "-5");
    expect_error(aio_file_pwritev(f, &one, 1, INT64_MIN, 0, file_done, &d, &e), &e, EINVAL,
                 "-9223372036854775808");
    expect_error(aio_file_preadv(f, &one, -1, 0, file_done, &d, &e), &e, EINVAL, "-1");
    expect_error(aio_file_preadv(f, NULL, 3, 0, file_done, &d, &e), &e, EINVAL, "3");
    expect_error(aio_file_preadv(f, huge, 2, 10, file_done, &d, &e), &e, EINVAL, "piece 1");
    expect_error(aio_file_pwritev(f, &one, 1, INT64_MAX, 0, file_done, &d, &e), &e, EINVAL,
                 "9223372036854775807");
    expect_error(aio_file_pwritev(f, &one, 1, 0, 0x80, file_done, &d, &e), &e, EINVAL, "0x80");
    expect_error(aio_file_pwritev(f, &one, 1, 0, AIO_FILE_NO_HOLE, file_done, &d, &e), &e, EINVAL,
                 "0x2");
    expect_error(aio_file_write_zeroes(f, 0, 1, 0x80, file_done, &d, &e), &e, EINVAL, "0x80");
    expect_error(aio_file_write_zeroes(f, 0, -7, 0, file_done, &d, &e), &e, EINVAL, "-7");
    expect_error(aio_file_discard(f, 1, INT64_MAX, file_done, &d, &e), &e, EINVAL,
                 "9223372036854775807");
    expect_error(aio_file_discard(f, -3, 1, file_done, &d, &e), &e, EINVAL, "-3");
    assert_null(aio_file_preadv(f, &one, 1, -5, file_done, &d, NULL));
    while (drive(ctx, false)) {
        continue;
    }
    assert_int_equal(d.calls, 0);
    aio_file_close(f);
    fixture_file_remove(&name);
}

static void requests_need_the_access_that_the_file_was_opened_with(AioContext *ctx)
{
    char byte = 0;
    AioIoVec one = {.base = &byte, .len = 1};
    AioError *e = NULL;
    FixtureFile name = fixture_file(10);
    AioFile *reader = file_open_ok(ctx, name.path, AIO_FILE_READ);
    AioFile *writer = file_open_ok(ctx, name.path, AIO_FILE_WRITE);
    expect_error(aio_file_pwritev(reader, &one, 1, 0, 0, NULL, NULL, &e), &e, EBADF, "write");
    expect_error(aio_file_discard(reader, 0, 1, NULL, NULL, &e), &e, EBADF, "discard");
    expect_error(aio_file_write_zeroes(reader, 0, 1, 0, NULL, NULL, &e), &e, EBADF, "write zeroes");
    expect_error(aio_file_preadv(writer, &one, 1, 0, NULL, NULL, &e), &e, EBADF, "read");
    assert_int_equal(file_write(ctx, writer, "x", 1, 0, 0), 1);
    assert_int_equal(file_read(ctx, reader, &byte, 1, 0), 1);
    FileDone d = {.submitting = true};
    assert_int_equal(file_finish(ctx, &d, aio_file_fsync(reader, file_done, &d, NULL)), 0);
    aio_file_close(reader);
    aio_file_close(writer);
    fixture_file_remove(&name);
}

static void what_cannot_be_opened_is_an_error_that_names_it(AioContext *ctx)
{
    FixtureFile name = fixture_file(0);
    const struct {
        const char *path;
        unsigned flags;
        int code;
    } cases[] = {
        {"/nonexistent/file", AIO_FILE_READ, ENOENT},
        {fixture_directory(), AIO_FILE_READ, EISDIR},
        {fixture_directory(), RW, EISDIR},
        {name.path, 0, EINVAL},
        {name.path, AIO_FILE_CREATE, EINVAL},
        {name.path, AIO_FILE_READ | AIO_FILE_TRUNCATE, EINVAL},
        {name.path, AIO_FILE_READ | 0x4000, EINVAL},
    };
    unsigned handles = fixture_open_handles();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        AioError *error = NULL;
        assert_null(aio_file_open(ctx, cases[i].path, cases[i].flags, &error));
        assert_int_equal(aio_error_code(error), cases[i].code);
        assert_non_null(strstr(aio_error_message(error), cases[i].path));
        aio_error_free(error);
        assert_null(aio_file_open(ctx, cases[i].path, cases[i].flags, NULL));
    }
    assert_true(fixture_handles_left(handles));
    fixture_file_remove(&name);
}

static void files_are_created_and_truncated(AioContext *ctx)
{
    FixtureFile name = fixture_file(0);
    fixture_file_remove(&name);
    AioFile *file = file_open_ok(ctx, name.path, RW | AIO_FILE_CREATE);
    assert_int_equal(file_write(ctx, file, "12345", 5, 0, 0), 5);
    aio_file_close(file);
    file = file_open_ok(ctx, name.path, RW | AIO_FILE_CREATE);
    assert_int_equal(aio_file_size(file), 5);
    aio_file_close(file);
    file = file_open_ok(ctx, name.path, AIO_FILE_WRITE | AIO_FILE_TRUNCATE);
    assert_int_equal(aio_file_size(file), 0);
    aio_file_close(file);
    fixture_file_remove(&name);
}

static void handles_are_wrapped_with_or_without_ownership(AioContext *ctx)
{
    char in[3] = "";
    FixtureFile name = fixture_file(0);
    fixture_file_store(&name, "ab", 2, 0);
    AioHandle borrowed = fixture_file_handle(&name, false);
    AioHandle owned = fixture_file_handle(&name, true);
    AioFile *file = aio_file_from_handle(ctx, borrowed, false, NULL);
    assert_non_null(file);
    assert_int_equal(file_read(ctx, file, in, 2, 0), 2);
    assert_string_equal(in, "ab");
    assert_null(aio_file_discard(file, 0, 1, NULL, NULL, NULL));
    aio_file_close(file);
    assert_true(fixture_is_open(borrowed));
    file = aio_file_from_handle(ctx, owned, true, NULL);
    assert_int_equal(file_write(ctx, file, "c", 1, 0, 0), 1);
    aio_file_close(file);
    assert_false(fixture_is_open(owned));
    fixture_close(borrowed);
    fixture_file_remove(&name);
}

static void bad_handles_are_refused_and_named(AioContext *ctx)
{
    FixturePair pair = fixture_pair();
    const struct {
        AioHandle handle;
        int code;
        const char *text;
    } cases[] = {{AIO_HANDLE_NONE, EBADF, "-1"},
                 {12345, EBADF, "12345"},
                 {(AioHandle)INT64_C(0x100000001), EBADF, "4294967297"},
                 {pair.a, ESPIPE, ""}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        AioError *error = NULL;
        assert_null(aio_file_from_handle(ctx, cases[i].handle, false, &error));
        assert_int_equal(aio_error_code(error), cases[i].code);
        assert_non_null(strstr(aio_error_message(error), cases[i].text));
        aio_error_free(error);
    }
    fixture_pair_close(&pair);
}

static AioError *refusal(AioContext *ctx, const char *path, unsigned flags)
{
    AioError *error = NULL;
    assert_null(aio_file_open(ctx, path, flags, &error));
    return error;
}

static void locked_file_is_refused_to_a_second_writer(AioContext *ctx)
{
    FixtureFile name = fixture_file(10);
    AioFile *writer = file_open_ok(ctx, name.path, RW | AIO_FILE_LOCK);
    static const unsigned others[] = {RW, AIO_FILE_READ, RW | AIO_FILE_TRUNCATE | AIO_FILE_CREATE};
    unsigned handles = fixture_open_handles();
    for (size_t i = 0; i < 3; i++) {
        AioError *error = refusal(ctx, name.path, others[i] | AIO_FILE_LOCK);
        assert_int_equal(aio_error_code(error), EAGAIN);
        assert_non_null(strstr(aio_error_message(error), name.path));
        aio_error_free(error);
    }
    assert_true(fixture_handles_left(handles));
    assert_int_equal(fixture_file_size(&name), 10); /* not truncated by the one that was refused */
    aio_file_close(writer);

    AioFile *a = file_open_ok(ctx, name.path, AIO_FILE_READ | AIO_FILE_LOCK);
    AioFile *b = file_open_ok(ctx, name.path, AIO_FILE_READ | AIO_FILE_LOCK);
    aio_error_free(refusal(ctx, name.path, RW | AIO_FILE_LOCK));
    aio_file_close(a);
    aio_error_free(refusal(ctx, name.path, RW | AIO_FILE_LOCK));
    aio_file_close(b);
    writer = file_open_ok(ctx, name.path, RW | AIO_FILE_LOCK | AIO_FILE_TRUNCATE);
    assert_int_equal(aio_file_size(writer), 0);
    aio_file_close(writer);
    fixture_file_remove(&name);
}

static void full_device_is_an_error_of_the_write(void **state)
{
    (void)state;
    const char *device = fixture_full_device();
    if (!device) {
        fixture_skip("there is no device that is full");
    }
    AioContext *ctx = fixture_context();
    AioFile *file = file_open_ok(ctx, device, AIO_FILE_WRITE);
    assert_int_equal(file_write(ctx, file, "x", 1, 0, 0), -ENOSPC);
    aio_file_close(file);
    fixture_context_free(ctx);
}

static void write_past_the_size_limit_is_an_error_also_where_some_of_it_fits(AioContext *ctx)
{
    static char data[8192];
    FixtureFile name = fixture_file(0);
    AioFile *file = file_open_ok(ctx, name.path, RW);
    if (!fixture_limit_file_size(4096)) {
        fixture_skip("file sizes can't be limited");
    }
    assert_int_equal(file_write(ctx, file, data, 4096, 0, 0), 4096);
    assert_int_equal(file_write(ctx, file, data, 1, 4096, 0), -EFBIG);
    assert_int_equal(file_write(ctx, file, data, 8192, 0, 0), -EFBIG);
    assert_int_equal(file_zero(ctx, file, 4096, 4096, 0), -EFBIG);
    assert_int_equal(aio_file_size(file), 4096);
    fixture_limit_file_size(-1);
    aio_file_close(file);
    fixture_file_remove(&name);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(handle_of_a_file_is_the_open_one),
    cmocka_unit_test_home(impossible_requests_are_refused_and_the_value_named),
    cmocka_unit_test_home(requests_need_the_access_that_the_file_was_opened_with),
    cmocka_unit_test_home(what_cannot_be_opened_is_an_error_that_names_it),
    cmocka_unit_test_home(files_are_created_and_truncated),
    cmocka_unit_test_home(handles_are_wrapped_with_or_without_ownership),
    cmocka_unit_test_home(bad_handles_are_refused_and_named),
    cmocka_unit_test_home(locked_file_is_refused_to_a_second_writer),
    cmocka_unit_test(full_device_is_an_error_of_the_write),
    cmocka_unit_test_home(write_past_the_size_limit_is_an_error_also_where_some_of_it_fits),
};
TEST_MAIN(tests)
