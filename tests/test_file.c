/*
 * Asynchronous file I/O as users see it: transfers, ranges, questions, refusals, locks, closing, cancelling.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "tests/fixture_file.h"

#define RW (AIO_FILE_READ | AIO_FILE_WRITE)

/* The completion of one request. */
typedef struct Done {
    AioContext *ctx;
    int calls;
    int64_t ret;
    bool inside; /* came while `submitting` */
    bool submitting;
    AioFile *close;        /* in the callback */
    AioFile *read;         /* in the callback, to see that it is refused */
    struct Done *wait_for; /* in the callback, by polling */
    int *left;
} Done;

static void done(void *opaque, int64_t ret)
{
    Done *d = opaque;
    d->calls++;
    d->ret = ret;
    d->inside |= d->submitting;
    if (d->left) {
        --*d->left;
    }
    if (d->close) {
        aio_file_close(d->close);
    }
    if (d->read) {
        char byte;
        AioIoVec piece = {.base = &byte, .len = 1};
        AioError *error = NULL;
        bool submitted = aio_file_preadv(d->read, &piece, 1, 0, NULL, NULL, &error);
        d->ret = submitted ? 0 : aio_error_code(error);
        aio_error_free(error);
    }
    while (d->wait_for && !d->wait_for->calls) {
        drive(d->ctx, true);
    }
}

static int64_t finish(AioContext *ctx, Done *d, AioRequest *request)
{
    d->submitting = false;
    assert_non_null(request);
    assert_int_equal(d->calls, 0);
    while (!d->calls) {
        drive(ctx, true);
    }
    assert_int_equal(d->calls, 1);
    assert_false(d->inside);
    return d->ret;
}

static AioFile *open_file(AioContext *ctx, const char *path, unsigned flags)
{
    AioError *error = NULL;
    AioFile *file = aio_file_open(ctx, path, flags, &error);
    if (!file) {
        print_error("%s\n", aio_error_message(error));
    }
    assert_non_null(file);
    return file;
}

static int64_t readv_now(AioContext *ctx, AioFile *file, const AioIoVec *iov, int n, int64_t offset)
{
    Done d = {.submitting = true};
    return finish(ctx, &d, aio_file_preadv(file, iov, n, offset, done, &d, NULL));
}

static int64_t read_now(AioContext *ctx, AioFile *file, void *buffer, size_t size, int64_t offset)
{
    AioIoVec piece = {.base = buffer, .len = size};
    return readv_now(ctx, file, &piece, 1, offset);
}

static int64_t writev_now(AioContext *ctx, AioFile *file, const AioIoVec *iov, int n,
                          int64_t offset, unsigned flags)
{
    Done d = {.submitting = true};
    return finish(ctx, &d, aio_file_pwritev(file, iov, n, offset, flags, done, &d, NULL));
}

static int64_t write_now(AioContext *ctx, AioFile *file, const void *data, size_t size,
                         int64_t offset, unsigned flags)
{
    AioIoVec piece = {.base = (void *)(uintptr_t)data, .len = size};
    return writev_now(ctx, file, &piece, 1, offset, flags);
}

static int64_t zero_now(AioContext *ctx, AioFile *file, int64_t offset, int64_t length,
                        unsigned flags)
{
    Done d = {.submitting = true};
    return finish(ctx, &d, aio_file_write_zeroes(file, offset, length, flags, done, &d, NULL));
}

static int64_t discard_now(AioContext *ctx, AioFile *file, int64_t offset, int64_t length)
{
    Done d = {.submitting = true};
    return finish(ctx, &d, aio_file_discard(file, offset, length, done, &d, NULL));
}

static void fill(char *buffer, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1103515245u + 12345u;
        buffer[i] = (char)(seed >> 16);
    }
}

static bool all_zero(const char *buffer, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (buffer[i]) {
            return false;
        }
    }
    return true;
}

static void what_is_written_is_read_and_in_the_file(void **state)
{
    (void)state;
    enum { SIZE = 200000 };
    static char out[SIZE], in[SIZE];
    AioContext *ctx = fixture_context();
    FixtureFile name = fixture_file(0);
    AioFile *file = open_file(ctx, name.path, RW);
    fill(out, SIZE, 1);
    assert_int_equal(write_now(ctx, file, out, SIZE, 777, 0), SIZE);
    assert_int_equal(read_now(ctx, file, in, SIZE, 777), SIZE);
    assert_memory_equal(in, out, SIZE);
    memset(in, 0, SIZE);
    assert_int_equal(fixture_file_load(&name, in, SIZE, 777), SIZE);
    assert_memory_equal(in, out, SIZE);
    assert_int_equal(aio_file_size(file), SIZE + 777);
    aio_file_close(file);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void hot_read_completes_after_the_call(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    FixtureFile name = fixture_file(0);
    fixture_file_store(&name, "hot", 3, 0);
    AioFile *file = open_file(ctx, name.path, AIO_FILE_READ);
    for (int i = 0; i < 100; i++) {
        char buffer[4] = "";
        assert_int_equal(read_now(ctx, file, buffer, 3, 0), 3);
        assert_string_equal(buffer, "hot");
    }
    aio_file_close(file);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void more_pieces_than_the_system_takes_are_split(void **state)
{
    (void)state;
    enum { N = 5000, LEN = 7 };
    static char out[N * LEN], in[N * LEN];
    static AioIoVec pieces[2 * N];
    AioContext *ctx = fixture_context();
    FixtureFile name = fixture_file(0);
    AioFile *file = open_file(ctx, name.path, RW);
    fill(out, sizeof(out), 2);
    for (int i = 0; i < N; i++) {
        pieces[2 * i] = (AioIoVec){.base = out + i * LEN, .len = LEN};
        pieces[2 * i + 1] = (AioIoVec){.base = NULL, .len = 0};
    }
    assert_int_equal(writev_now(ctx, file, pieces, 2 * N, 10, 0), sizeof(out));
    for (int i = 0; i < N; i++) {
        pieces[2 * i].base = in + i * LEN;
    }
    assert_int_equal(readv_now(ctx, file, pieces, 2 * N, 10), sizeof(in));
    assert_memory_equal(in, out, sizeof(in));
    aio_file_close(file);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void array_of_pieces_is_free_after_the_call(void **state)
{
    (void)state;
    enum { N = 20, LEN = 4096 };
    static char in[N * LEN], out[N * LEN];
    AioContext *ctx = fixture_context();
    FixtureFile name = fixture_file(0);
    fill(out, sizeof(out), 3);
    fixture_file_store(&name, out, sizeof(out), 0);
    AioFile *file = open_file(ctx, name.path, AIO_FILE_READ);
    for (int n = 1; n <= N; n += 3) {
        Done d = {.submitting = true};
        AioIoVec *pieces = calloc((size_t)n, sizeof(*pieces));
        assert_non_null(pieces);
        memset(in, 0, sizeof(in));
        for (int i = 0; i < n; i++) {
            pieces[i] = (AioIoVec){.base = in + i * LEN, .len = LEN};
        }
        AioRequest *request = aio_file_preadv(file, pieces, n, 0, done, &d, NULL);
        free(pieces);
        assert_int_equal(finish(ctx, &d, request), n * LEN);
        assert_memory_equal(in, out, (size_t)n * LEN);
    }
    aio_file_close(file);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void read_is_short_only_at_the_end_of_the_file(void **state)
{
    (void)state;
    char buffer[100];
    AioContext *ctx = fixture_context();
    FixtureFile name = fixture_file(1000);
    AioFile *file = open_file(ctx, name.path, AIO_FILE_READ);
    assert_int_equal(read_now(ctx, file, buffer, 100, 900), 100);
    assert_int_equal(read_now(ctx, file, buffer, 100, 950), 50);
    assert_int_equal(read_now(ctx, file, buffer, 100, 1000), 0);
    assert_int_equal(read_now(ctx, file, buffer, 100, INT64_C(1) << 40), 0);
    aio_file_close(file);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void requests_for_nothing_complete_with_nothing(void **state)
{
    (void)state;
    char byte;
    AioIoVec empty = {.base = &byte, .len = 0};
    AioContext *ctx = fixture_context();
    FixtureFile name = fixture_file(10);
    AioFile *file = open_file(ctx, name.path, RW);
    assert_int_equal(readv_now(ctx, file, &empty, 1, 0), 0);
    assert_int_equal(readv_now(ctx, file, NULL, 0, 5), 0);
    assert_int_equal(writev_now(ctx, file, &empty, 1, 100, AIO_FILE_FUA), 0);
    assert_int_equal(writev_now(ctx, file, &empty, 0, 100, 0), 0);
    assert_int_equal(zero_now(ctx, file, 100, 0, 0), 0);
    assert_int_equal(discard_now(ctx, file, 100, 0), 0);
    assert_int_equal(aio_file_size(file), 10);
    Done d = {.calls = 0};
    aio_request_cancel(aio_file_preadv(file, &empty, 1, 0, done, &d, NULL));
    assert_int_equal(d.calls, 1);
    assert_int_equal(d.ret, 0);
    aio_file_close(file);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void flushes_and_durable_writes_succeed(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    FixtureFile name = fixture_file(0);
    AioFile *file = open_file(ctx, name.path, RW);
    assert_int_equal(write_now(ctx, file, "durable", 7, 0, AIO_FILE_FUA), 7);
    Done d = {.submitting = true};
    assert_int_equal(finish(ctx, &d, aio_file_fsync(file, done, &d, NULL)), 0);
    d = (Done){.submitting = true};
    assert_int_equal(finish(ctx, &d, aio_file_fdatasync(file, done, &d, NULL)), 0);
    assert_int_equal(zero_now(ctx, file, 0, 3, AIO_FILE_FUA), 0);
    aio_file_close(file);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void zeroes_replace_data_with_every_flag(void **state)
{
    (void)state;
    enum { SIZE = 300000, FROM = 4095, LENGTH = 200001 };
    static const unsigned flags[] = {0, AIO_FILE_NO_HOLE, AIO_FILE_FUA,
                                     AIO_FILE_NO_HOLE | AIO_FILE_FUA};
    static char data[SIZE], in[SIZE];
    AioContext *ctx = fixture_context();
    FixtureFile name = fixture_file(0);
    AioFile *file = open_file(ctx, name.path, RW);
    fill(data, SIZE, 4);
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        assert_int_equal(write_now(ctx, file, data, SIZE, 0, 0), SIZE);
        assert_int_equal(zero_now(ctx, file, FROM, LENGTH, flags[i]), 0);
        assert_int_equal(fixture_file_load(&name, in, SIZE, 0), SIZE);
        assert_memory_equal(in, data, FROM);
        assert_true(all_zero(in + FROM, LENGTH));
        assert_memory_equal(in + FROM + LENGTH, data + FROM + LENGTH, SIZE - FROM - LENGTH);
    }
    aio_file_close(file);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void zeroes_keep_or_free_the_space(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    static char data[SIZE];
    AioContext *ctx = fixture_context();
    FixtureFile name = fixture_file(0);
    AioFile *file = open_file(ctx, name.path, RW);
    fill(data, SIZE, 5);
    assert_int_equal(write_now(ctx, file, data, SIZE, 0, AIO_FILE_FUA), SIZE);
    assert_int_equal(zero_now(ctx, file, 0, SIZE, AIO_FILE_NO_HOLE | AIO_FILE_FUA), 0);
    assert_true(fixture_file_allocated(&name) >= SIZE);
    int64_t ret = zero_now(ctx, file, 0, SIZE, AIO_FILE_FAST | AIO_FILE_FUA);
    assert_true(ret == 0 || ret == -ENOTSUP);
    if (ret == 0) {
        assert_true(fixture_file_allocated(&name) < SIZE / 2);
    }
    aio_file_close(file);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void zeroes_beyond_the_end_make_the_file_longer(void **state)
{
    (void)state;
    char in[100];
    AioContext *ctx = fixture_context();
    for (unsigned flags = 0; flags <= AIO_FILE_NO_HOLE; flags += AIO_FILE_NO_HOLE) {
        FixtureFile name = fixture_file(50);
        fixture_file_store(&name, "0123456789", 10, 40);
        AioFile *file = open_file(ctx, name.path, RW);
        assert_int_equal(zero_now(ctx, file, 45, 55, flags), 0);
        assert_int_equal(aio_file_size(file), 100);
        assert_int_equal(read_now(ctx, file, in, 100, 0), 100);
        assert_memory_equal(in + 40, "01234", 5);
        assert_true(all_zero(in + 45, 55));
        aio_file_close(file);
        fixture_file_remove(&name);
    }
    fixture_context_free(ctx);
}

static void discard_leaves_size_and_neighbours(void **state)
{
    (void)state;
    enum { SIZE = 100000 };
    static char data[SIZE], in[SIZE];
    AioContext *ctx = fixture_context();
    FixtureFile name = fixture_file(0);
    AioFile *file = open_file(ctx, name.path, RW);
    fill(data, SIZE, 6);
    assert_int_equal(write_now(ctx, file, data, SIZE, 0, 0), SIZE);
    int64_t ret = discard_now(ctx, file, 10000, 50000);
    assert_true(ret == 0 || ret == -ENOTSUP);
    assert_int_equal(read_now(ctx, file, in, SIZE, 0), SIZE);
    assert_memory_equal(in, data, 10000);
    assert_memory_equal(in + 60000, data + 60000, SIZE - 60000);
    ret = discard_now(ctx, file, 90000, 50000);
    assert_true(ret == 0 || ret == -ENOTSUP);
    assert_int_equal(aio_file_size(file), SIZE);
    aio_file_close(file);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void extents_tell_data_from_holes(void **state)
{
    (void)state;
    enum { MIB = 1 << 20 };
    static char data[MIB];
    AioContext *ctx = fixture_context();
    FixtureFile name = fixture_file(4 * MIB);
    memset(data, 1, sizeof(data));
    fixture_file_store(&name, data, sizeof(data), 2 * MIB);
    AioFile *file = open_file(ctx, name.path, RW);
    AioFileExtent extent;
    int64_t offset = 0;
    bool hole_seen = false;
    while (offset < 4 * MIB) {
        assert_int_equal(aio_file_extent(file, offset, INT64_MAX - offset, &extent), 0);
        assert_true(extent.length > 0 && offset + extent.length <= 4 * MIB);
        if (extent.is_hole) { /* no data may be called a hole; the converse is allowed */
            assert_true(offset + extent.length <= 2 * MIB || offset >= 3 * MIB);
            hole_seen = true;
        }
        offset += extent.length;
    }
    if (!hole_seen) {
        print_message("this file system knows no holes\n");
    }
    assert_int_equal(aio_file_extent(file, 2 * MIB + 5, 10, &extent), 0);
    assert_int_equal(extent.length, 10);
    assert_false(extent.is_hole);
    assert_int_equal(aio_file_extent(file, 4 * MIB, 10, &extent), -ENXIO);
    assert_int_equal(aio_file_extent(file, -1, 10, &extent), -EINVAL);
    assert_int_equal(aio_file_extent(file, 0, 0, &extent), -EINVAL);
    aio_file_close(file);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void offsets_are_64_bits_wide(void **state)
{
    (void)state;
    const int64_t far_away = INT64_C(5) << 30;
    char in[5] = "";
    AioFileExtent extent;
    AioContext *ctx = fixture_context();
    FixtureFile name = fixture_file(0);
    AioFile *file = open_file(ctx, name.path, RW);
    assert_int_equal(write_now(ctx, file, "far", 3, far_away, 0), 3);
    assert_int_equal(aio_file_size(file), far_away + 3);
    assert_int_equal(read_now(ctx, file, in, 5, far_away), 3);
    assert_string_equal(in, "far");
    assert_int_equal(aio_file_extent(file, far_away, 100, &extent), 0);
    assert_int_equal(extent.length, 3);
    assert_int_equal(zero_now(ctx, file, far_away + 1, 1, 0), 0);
    assert_int_equal(read_now(ctx, file, in, 3, far_away), 3);
    assert_memory_equal(in, "f\0r", 3);
    aio_file_close(file);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

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

static void impossible_requests_are_refused_and_the_value_named(void **state)
{
    (void)state;
    char byte = 0;
    AioIoVec one = {.base = &byte, .len = 1};
    AioIoVec huge[2] = {{.base = &byte, .len = SIZE_MAX / 2}, {.base = &byte, .len = SIZE_MAX / 2}};
    Done d = {.calls = 0};
    AioError *e = NULL;
    AioContext *ctx = fixture_context();
    FixtureFile name = fixture_file(10);
    AioFile *f = open_file(ctx, name.path, RW);
    expect_error(aio_file_preadv(f, &one, 1, -5, done, &d, &e), &e, EINVAL, "-5");
    expect_error(aio_file_pwritev(f, &one, 1, INT64_MIN, 0, done, &d, &e), &e, EINVAL,
                 "-9223372036854775808");
    expect_error(aio_file_preadv(f, &one, -1, 0, done, &d, &e), &e, EINVAL, "-1");
    expect_error(aio_file_preadv(f, NULL, 3, 0, done, &d, &e), &e, EINVAL, "3");
    expect_error(aio_file_preadv(f, huge, 2, 10, done, &d, &e), &e, EINVAL, "piece 1");
    expect_error(aio_file_pwritev(f, &one, 1, INT64_MAX, 0, done, &d, &e), &e, EINVAL,
                 "9223372036854775807");
    expect_error(aio_file_pwritev(f, &one, 1, 0, 0x80, done, &d, &e), &e, EINVAL, "0x80");
    expect_error(aio_file_pwritev(f, &one, 1, 0, AIO_FILE_NO_HOLE, done, &d, &e), &e, EINVAL,
                 "0x2");
    expect_error(aio_file_write_zeroes(f, 0, 1, 0x80, done, &d, &e), &e, EINVAL, "0x80");
    expect_error(aio_file_write_zeroes(f, 0, -7, 0, done, &d, &e), &e, EINVAL, "-7");
    expect_error(aio_file_discard(f, 1, INT64_MAX, done, &d, &e), &e, EINVAL,
                 "9223372036854775807");
    expect_error(aio_file_discard(f, -3, 1, done, &d, &e), &e, EINVAL, "-3");
    assert_null(aio_file_preadv(f, &one, 1, -5, done, &d, NULL));
    while (drive(ctx, false)) {
        continue;
    }
    assert_int_equal(d.calls, 0);
    aio_file_close(f);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void requests_need_the_access_that_the_file_was_opened_with(void **state)
{
    (void)state;
    char byte = 0;
    AioIoVec one = {.base = &byte, .len = 1};
    AioError *e = NULL;
    AioContext *ctx = fixture_context();
    FixtureFile name = fixture_file(10);
    AioFile *reader = open_file(ctx, name.path, AIO_FILE_READ);
    AioFile *writer = open_file(ctx, name.path, AIO_FILE_WRITE);
    expect_error(aio_file_pwritev(reader, &one, 1, 0, 0, NULL, NULL, &e), &e, EBADF, "write");
    expect_error(aio_file_discard(reader, 0, 1, NULL, NULL, &e), &e, EBADF, "discard");
    expect_error(aio_file_write_zeroes(reader, 0, 1, 0, NULL, NULL, &e), &e, EBADF, "write zeroes");
    expect_error(aio_file_preadv(writer, &one, 1, 0, NULL, NULL, &e), &e, EBADF, "read");
    assert_int_equal(write_now(ctx, writer, "x", 1, 0, 0), 1);
    assert_int_equal(read_now(ctx, reader, &byte, 1, 0), 1);
    Done d = {.submitting = true};
    assert_int_equal(finish(ctx, &d, aio_file_fsync(reader, done, &d, NULL)), 0);
    aio_file_close(reader);
    aio_file_close(writer);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void what_cannot_be_opened_is_an_error_that_names_it(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
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
    assert_int_equal(fixture_open_handles(), handles);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void files_are_created_and_truncated(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    FixtureFile name = fixture_file(0);
    fixture_file_remove(&name);
    AioFile *file = open_file(ctx, name.path, RW | AIO_FILE_CREATE);
    assert_int_equal(write_now(ctx, file, "12345", 5, 0, 0), 5);
    aio_file_close(file);
    file = open_file(ctx, name.path, RW | AIO_FILE_CREATE);
    assert_int_equal(aio_file_size(file), 5);
    aio_file_close(file);
    file = open_file(ctx, name.path, AIO_FILE_WRITE | AIO_FILE_TRUNCATE);
    assert_int_equal(aio_file_size(file), 0);
    aio_file_close(file);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void handles_are_wrapped_with_or_without_ownership(void **state)
{
    (void)state;
    char in[3] = "";
    AioContext *ctx = fixture_context();
    FixtureFile name = fixture_file(0);
    fixture_file_store(&name, "ab", 2, 0);
    AioHandle borrowed = fixture_file_handle(&name, false);
    AioHandle owned = fixture_file_handle(&name, true);
    AioFile *file = aio_file_from_handle(ctx, borrowed, false, NULL);
    assert_non_null(file);
    assert_int_equal(read_now(ctx, file, in, 2, 0), 2);
    assert_string_equal(in, "ab");
    assert_null(aio_file_discard(file, 0, 1, NULL, NULL, NULL));
    aio_file_close(file);
    assert_true(fixture_is_open(borrowed));
    file = aio_file_from_handle(ctx, owned, true, NULL);
    assert_int_equal(write_now(ctx, file, "c", 1, 0, 0), 1);
    aio_file_close(file);
    assert_false(fixture_is_open(owned));
    fixture_close(borrowed);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void bad_handles_are_refused_and_named(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
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
    fixture_context_free(ctx);
}

static AioError *refusal(AioContext *ctx, const char *path, unsigned flags)
{
    AioError *error = NULL;
    assert_null(aio_file_open(ctx, path, flags, &error));
    return error;
}

static void locked_file_is_refused_to_a_second_writer(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    FixtureFile name = fixture_file(10);
    AioFile *writer = open_file(ctx, name.path, RW | AIO_FILE_LOCK);
    static const unsigned others[] = {RW, AIO_FILE_READ, RW | AIO_FILE_TRUNCATE | AIO_FILE_CREATE};
    unsigned handles = fixture_open_handles();
    for (size_t i = 0; i < 3; i++) {
        AioError *error = refusal(ctx, name.path, others[i] | AIO_FILE_LOCK);
        assert_int_equal(aio_error_code(error), EAGAIN);
        assert_non_null(strstr(aio_error_message(error), name.path));
        aio_error_free(error);
    }
    assert_int_equal(fixture_open_handles(), handles);
    assert_int_equal(fixture_file_size(&name), 10); /* not truncated by the one that was refused */
    aio_file_close(writer);

    AioFile *a = open_file(ctx, name.path, AIO_FILE_READ | AIO_FILE_LOCK);
    AioFile *b = open_file(ctx, name.path, AIO_FILE_READ | AIO_FILE_LOCK);
    aio_error_free(refusal(ctx, name.path, RW | AIO_FILE_LOCK));
    aio_file_close(a);
    aio_error_free(refusal(ctx, name.path, RW | AIO_FILE_LOCK));
    aio_file_close(b);
    writer = open_file(ctx, name.path, RW | AIO_FILE_LOCK | AIO_FILE_TRUNCATE);
    assert_int_equal(aio_file_size(writer), 0);
    aio_file_close(writer);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void full_device_is_an_error_of_the_write(void **state)
{
    (void)state;
    const char *device = fixture_full_device();
    if (!device) {
        fixture_skip("there is no device that is full");
    }
    AioContext *ctx = fixture_context();
    AioFile *file = open_file(ctx, device, AIO_FILE_WRITE);
    assert_int_equal(write_now(ctx, file, "x", 1, 0, 0), -ENOSPC);
    aio_file_close(file);
    fixture_context_free(ctx);
}

static void write_past_the_size_limit_is_an_error_also_where_some_of_it_fits(void **state)
{
    (void)state;
    static char data[8192];
    AioContext *ctx = fixture_context();
    FixtureFile name = fixture_file(0);
    AioFile *file = open_file(ctx, name.path, RW);
    if (!fixture_limit_file_size(4096)) {
        fixture_skip("file sizes can't be limited");
    }
    assert_int_equal(write_now(ctx, file, data, 4096, 0, 0), 4096);
    assert_int_equal(write_now(ctx, file, data, 1, 4096, 0), -EFBIG);
    assert_int_equal(write_now(ctx, file, data, 8192, 0, 0), -EFBIG);
    assert_int_equal(zero_now(ctx, file, 4096, 4096, 0), -EFBIG);
    assert_int_equal(aio_file_size(file), 4096);
    fixture_limit_file_size(-1);
    aio_file_close(file);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void close_waits_for_requests_and_takes_no_more(void **state)
{
    (void)state;
    enum { N = 50, LEN = 100000 };
    static char buffers[N][LEN];
    Done d[N] = {{0}};
    AioContext *ctx = fixture_context();
    FixtureFile name = fixture_file(0);
    AioFile *file = open_file(ctx, name.path, RW);
    for (int i = 0; i < N; i++) {
        AioIoVec piece = {.base = buffers[i], .len = LEN};
        d[i].read = i % 10 == 0 ? file : NULL;
        assert_non_null(aio_file_pwritev(file, &piece, 1, i * LEN, 0, done, &d[i], NULL));
    }
    aio_file_close(file);
    for (int i = 0; i < N; i++) {
        assert_int_equal(d[i].calls, 1);
        assert_int_equal(d[i].ret, d[i].read ? EBADF : LEN);
    }
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void file_may_be_closed_in_a_callback_of_its_own(void **state)
{
    (void)state;
    char byte;
    AioIoVec one = {.base = &byte, .len = 1};
    AioContext *ctx = fixture_context();
    FixtureFile name = fixture_file(10);
    AioFile *file = open_file(ctx, name.path, AIO_FILE_READ);
    Done first = {.close = file}, second = {.calls = 0};
    assert_non_null(aio_file_preadv(file, &one, 1, 0, done, &first, NULL));
    assert_non_null(aio_file_preadv(file, &one, 1, 1, done, &second, NULL));
    while (!first.calls || !second.calls) {
        drive(ctx, true);
    }
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void context_lives_as_long_as_its_files(void **state)
{
    (void)state;
    char byte;
    AioContext *ctx = fixture_context();
    FixtureFile name = fixture_file(10);
    AioFile *file = open_file(ctx, name.path, AIO_FILE_READ);
    aio_context_unref(ctx);
    assert_int_equal(read_now(ctx, file, &byte, 1, 0), 1);
    aio_file_close(file);
    fixture_file_remove(&name);
    aio_file_close(NULL);
}

static void callback_may_wait_for_a_read_that_finished_with_its_own(void **state)
{
    (void)state;
    char bytes[4];
    AioContext *ctx = fixture_context();
    FixtureFile name = fixture_file(10);
    AioFile *file = open_file(ctx, name.path, AIO_FILE_READ);
    Done d[4] = {{0}};
    for (int i = 0; i < 4; i++) {
        AioIoVec one = {.base = &bytes[i], .len = 1};
        d[i].ctx = ctx;
        d[i].wait_for = i < 3 ? &d[i + 1] : NULL;
        assert_non_null(aio_file_preadv(file, &one, 1, i, done, &d[i], NULL));
    }
    while (!d[0].calls) {
        drive(ctx, true);
    }
    assert_int_equal(d[3].calls, 1);
    aio_file_close(file);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void cancelled_requests_complete_once_in_either_way(void **state)
{
    (void)state;
    enum { N = 300, LEN = 20000 };
    static char buffers[N][LEN];
    static Done d[N];
    int left = N;
    AioContext *ctx = fixture_context();
    FixtureFile name = fixture_file(0);
    AioFile *file = open_file(ctx, name.path, RW);
    memset(d, 0, sizeof(d));
    for (int i = 0; i < N; i++) {
        AioIoVec piece = {.base = buffers[i], .len = LEN};
        d[i].left = &left;
        d[i].submitting = true;
        AioRequest *request = i % 2
                                  ? aio_file_pwritev(file, &piece, 1, i * LEN, 0, done, &d[i], NULL)
                                  : aio_file_fsync(file, done, &d[i], NULL);
        assert_non_null(request);
        if (i % 3) {
            aio_request_cancel_async(request);
        }
        d[i].submitting = false;
        if (i % 31 == 0) {
            aio_request_cancel(request);
            assert_int_equal(d[i].calls, 1);
        }
    }
    while (left > 0) {
        drive(ctx, true);
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(d[i].calls, 1);
        assert_false(d[i].inside);
        bool real = d[i].ret == (i % 2 ? LEN : 0);
        assert_true(real || (d[i].ret == -ECANCELED && (i % 3 || i % 31 == 0)));
    }
    aio_file_close(file);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static int wait_for_gate(void *opaque)
{
    while (!atomic_load((atomic_int *)opaque)) {
        fixture_sleep_ms(1);
    }
    return 0;
}

static void slow_jobs_do_not_hold_up_files(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    AioThreadPool *pool = aio_get_thread_pool(ctx);
    FixtureFile name = fixture_file(10);
    AioFile *file = open_file(ctx, name.path, RW);
    atomic_int gate = 0;
    Done jobs = {.calls = 0};
    assert_true(aio_thread_pool_set_bounds(pool, 0, 2, NULL));
    for (int i = 0; i < 10; i++) {
        assert_non_null(aio_thread_pool_submit(pool, wait_for_gate, &gate, done, &jobs, NULL));
    }
    assert_int_equal(write_now(ctx, file, "x", 1, 0, 0), 1);
    assert_int_equal(jobs.calls, 0);
    atomic_store(&gate, 1);
    while (jobs.calls < 10) {
        drive(ctx, true);
    }
    aio_file_close(file);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_written_is_read_and_in_the_file),
    cmocka_unit_test(hot_read_completes_after_the_call),
    cmocka_unit_test(more_pieces_than_the_system_takes_are_split),
    cmocka_unit_test(array_of_pieces_is_free_after_the_call),
    cmocka_unit_test(read_is_short_only_at_the_end_of_the_file),
    cmocka_unit_test(requests_for_nothing_complete_with_nothing),
    cmocka_unit_test(flushes_and_durable_writes_succeed),
    cmocka_unit_test(zeroes_replace_data_with_every_flag),
    cmocka_unit_test(zeroes_keep_or_free_the_space),
    cmocka_unit_test(zeroes_beyond_the_end_make_the_file_longer),
    cmocka_unit_test(discard_leaves_size_and_neighbours),
    cmocka_unit_test(extents_tell_data_from_holes),
    cmocka_unit_test(offsets_are_64_bits_wide),
    cmocka_unit_test(impossible_requests_are_refused_and_the_value_named),
    cmocka_unit_test(requests_need_the_access_that_the_file_was_opened_with),
    cmocka_unit_test(what_cannot_be_opened_is_an_error_that_names_it),
    cmocka_unit_test(files_are_created_and_truncated),
    cmocka_unit_test(handles_are_wrapped_with_or_without_ownership),
    cmocka_unit_test(bad_handles_are_refused_and_named),
    cmocka_unit_test(locked_file_is_refused_to_a_second_writer),
    cmocka_unit_test(full_device_is_an_error_of_the_write),
    cmocka_unit_test(write_past_the_size_limit_is_an_error_also_where_some_of_it_fits),
    cmocka_unit_test(close_waits_for_requests_and_takes_no_more),
    cmocka_unit_test(file_may_be_closed_in_a_callback_of_its_own),
    cmocka_unit_test(context_lives_as_long_as_its_files),
    cmocka_unit_test(callback_may_wait_for_a_read_that_finished_with_its_own),
    cmocka_unit_test(cancelled_requests_complete_once_in_either_way),
    cmocka_unit_test(slow_jobs_do_not_hold_up_files),
};
TEST_MAIN(tests)
