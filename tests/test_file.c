/*
 * Asynchronous file I/O as users see it: transfers, ranges, sizes and extents.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "tests/file_help.h"

static void what_is_written_is_read_and_in_the_file(AioContext *ctx)
{
    enum { SIZE = 200000 };
    static char out[SIZE], in[SIZE];
    FixtureFile name = fixture_file(0);
    AioFile *file = file_open_ok(ctx, name.path, RW);
    file_fill(out, SIZE, 1);
    assert_int_equal(file_write(ctx, file, out, SIZE, 777, 0), SIZE);
    assert_int_equal(file_read(ctx, file, in, SIZE, 777), SIZE);
    assert_memory_equal(in, out, SIZE);
    memset(in, 0, SIZE);
    assert_int_equal(fixture_file_load(&name, in, SIZE, 777), SIZE);
    assert_memory_equal(in, out, SIZE);
    assert_int_equal(aio_file_size(file), SIZE + 777);
    aio_file_close(file);
    fixture_file_remove(&name);
}

static void hot_read_completes_after_the_call(AioContext *ctx)
{
    FixtureFile name = fixture_file(0);
    fixture_file_store(&name, "hot", 3, 0);
    AioFile *file = file_open_ok(ctx, name.path, AIO_FILE_READ);
    for (int i = 0; i < 100; i++) {
        char buffer[4] = "";
        assert_int_equal(file_read(ctx, file, buffer, 3, 0), 3);
        assert_string_equal(buffer, "hot");
    }
    aio_file_close(file);
    fixture_file_remove(&name);
}

static void more_pieces_than_the_system_takes_are_split(AioContext *ctx)
{
    enum { N = 5000, LEN = 7 };
    static char out[N * LEN], in[N * LEN];
    static AioIoVec pieces[2 * N];
    FixtureFile name = fixture_file(0);
    AioFile *file = file_open_ok(ctx, name.path, RW);
    file_fill(out, sizeof(out), 2);
    for (int i = 0; i < N; i++) {
        pieces[2 * i] = (AioIoVec){.base = out + i * LEN, .len = LEN};
        pieces[2 * i + 1] = (AioIoVec){.base = NULL, .len = 0};
    }
    assert_int_equal(file_writev(ctx, file, pieces, 2 * N, 10, 0), sizeof(out));
    for (int i = 0; i < N; i++) {
        pieces[2 * i].base = in + i * LEN;
    }
    assert_int_equal(file_readv(ctx, file, pieces, 2 * N, 10), sizeof(in));
    assert_memory_equal(in, out, sizeof(in));
    aio_file_close(file);
    fixture_file_remove(&name);
}

/* One byte among more empty pieces than the system takes, in front of it, behind, or both. */
static void empty_pieces_count_for_nothing(AioContext *ctx)
{
    enum { N = 3000 };
    static AioIoVec pieces[N];
    const int places[] = {0, 1, 1023, 1024, 1500, N - 1};
    FixtureFile name = fixture_file(0);
    AioFile *file = file_open_ok(ctx, name.path, RW);
    for (int i = 0; i < 6; i++) {
        char out = (char)('a' + i), in = 0;
        memset(pieces, 0, sizeof(pieces));
        pieces[places[i]] = (AioIoVec){.base = &out, .len = 1};
        assert_int_equal(file_writev(ctx, file, pieces, N, i, 0), 1);
        pieces[places[i]].base = &in;
        assert_int_equal(file_readv(ctx, file, pieces, N, i), 1);
        assert_int_equal(in, out);
    }
    aio_file_close(file);
    fixture_file_remove(&name);
}

static void array_of_pieces_is_free_after_the_call(AioContext *ctx)
{
    enum { N = 20, LEN = 4096 };
    static char in[N * LEN], out[N * LEN];
    FixtureFile name = fixture_file(0);
    file_fill(out, sizeof(out), 3);
    fixture_file_store(&name, out, sizeof(out), 0);
    AioFile *file = file_open_ok(ctx, name.path, AIO_FILE_READ);
    for (int n = 1; n <= N; n += 3) {
        FileDone d = {.submitting = true};
        AioIoVec *pieces = calloc((size_t)n, sizeof(*pieces));
        assert_non_null(pieces);
        memset(in, 0, sizeof(in));
        for (int i = 0; i < n; i++) {
            pieces[i] = (AioIoVec){.base = in + i * LEN, .len = LEN};
        }
        AioRequest *request = aio_file_preadv(file, pieces, n, 0, file_done, &d, NULL);
        free(pieces);
        assert_int_equal(file_finish(ctx, &d, request), n * LEN);
        assert_memory_equal(in, out, (size_t)n * LEN);
    }
    aio_file_close(file);
    fixture_file_remove(&name);
}

static void read_is_short_only_at_the_end_of_the_file(AioContext *ctx)
{
    char buffer[100];
    FixtureFile name = fixture_file(1000);
    AioFile *file = file_open_ok(ctx, name.path, AIO_FILE_READ);
    assert_int_equal(file_read(ctx, file, buffer, 100, 900), 100);
    assert_int_equal(file_read(ctx, file, buffer, 100, 950), 50);
    assert_int_equal(file_read(ctx, file, buffer, 100, 1000), 0);
    assert_int_equal(file_read(ctx, file, buffer, 100, INT64_C(1) << 40), 0);
    aio_file_close(file);
    fixture_file_remove(&name);
}

static void requests_for_nothing_complete_with_nothing(AioContext *ctx)
{
    char byte;
    AioIoVec empty = {.base = &byte, .len = 0};
    FixtureFile name = fixture_file(10);
    AioFile *file = file_open_ok(ctx, name.path, RW);
    assert_int_equal(file_readv(ctx, file, &empty, 1, 0), 0);
    assert_int_equal(file_readv(ctx, file, NULL, 0, 5), 0);
    assert_int_equal(file_writev(ctx, file, &empty, 1, 100, AIO_FILE_FUA), 0);
    assert_int_equal(file_writev(ctx, file, &empty, 0, 100, 0), 0);
    assert_int_equal(file_zero(ctx, file, 100, 0, 0), 0);
    assert_int_equal(file_discard(ctx, file, 100, 0), 0);
    assert_int_equal(aio_file_size(file), 10);
    FileDone d = {.calls = 0};
    aio_request_cancel(aio_file_preadv(file, &empty, 1, 0, file_done, &d, NULL));
    assert_int_equal(d.calls, 1);
    assert_int_equal(d.ret, 0);
    aio_file_close(file);
    fixture_file_remove(&name);
}

static void flushes_and_durable_writes_succeed(AioContext *ctx)
{
    FixtureFile name = fixture_file(0);
    AioFile *file = file_open_ok(ctx, name.path, RW);
    assert_int_equal(file_write(ctx, file, "durable", 7, 0, AIO_FILE_FUA), 7);
    FileDone d = {.submitting = true};
    assert_int_equal(file_finish(ctx, &d, aio_file_fsync(file, file_done, &d, NULL)), 0);
    d = (FileDone){.submitting = true};
    assert_int_equal(file_finish(ctx, &d, aio_file_fdatasync(file, file_done, &d, NULL)), 0);
    assert_int_equal(file_zero(ctx, file, 0, 3, AIO_FILE_FUA), 0);
    aio_file_close(file);
    fixture_file_remove(&name);
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
    AioFile *file = file_open_ok(ctx, name.path, RW);
    file_fill(data, SIZE, 4);
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        assert_int_equal(file_write(ctx, file, data, SIZE, 0, 0), SIZE);
        assert_int_equal(file_zero(ctx, file, FROM, LENGTH, flags[i]), 0);
        assert_int_equal(fixture_file_load(&name, in, SIZE, 0), SIZE);
        assert_memory_equal(in, data, FROM);
        assert_true(file_all_zero(in + FROM, LENGTH));
        assert_memory_equal(in + FROM + LENGTH, data + FROM + LENGTH, SIZE - FROM - LENGTH);
    }
    aio_file_close(file);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void zeroes_keep_or_free_the_space(AioContext *ctx)
{
    enum { SIZE = 1 << 20 };
    static char data[SIZE];
    FixtureFile name = fixture_file(0);
    AioFile *file = file_open_ok(ctx, name.path, RW);
    file_fill(data, SIZE, 5);
    assert_int_equal(file_write(ctx, file, data, SIZE, 0, AIO_FILE_FUA), SIZE);
    assert_int_equal(file_zero(ctx, file, 0, SIZE, AIO_FILE_NO_HOLE | AIO_FILE_FUA), 0);
    int64_t allocated = fixture_file_allocated(&name);
    assert_true(allocated == -1 || allocated >= SIZE);
    int64_t ret = file_zero(ctx, file, 0, SIZE, AIO_FILE_FAST | AIO_FILE_FUA);
    assert_true(ret == 0 || ret == -ENOTSUP);
    if (ret == 0) {
        assert_true(fixture_file_allocated(&name) < SIZE / 2);
    }
    aio_file_close(file);
    fixture_file_remove(&name);
}

static void zeroes_beyond_the_end_make_the_file_longer(AioContext *ctx)
{
    char in[100];
    for (unsigned flags = 0; flags <= AIO_FILE_NO_HOLE; flags += AIO_FILE_NO_HOLE) {
        FixtureFile name = fixture_file(50);
        fixture_file_store(&name, "0123456789", 10, 40);
        AioFile *file = file_open_ok(ctx, name.path, RW);
        assert_int_equal(file_zero(ctx, file, 45, 55, flags), 0);
        assert_int_equal(aio_file_size(file), 100);
        assert_int_equal(file_read(ctx, file, in, 100, 0), 100);
        assert_memory_equal(in + 40, "01234", 5);
        assert_true(file_all_zero(in + 45, 55));
        aio_file_close(file);
        fixture_file_remove(&name);
    }
}

static void discard_leaves_size_and_neighbours(AioContext *ctx)
{
    enum { SIZE = 100000 };
    static char data[SIZE], in[SIZE];
    FixtureFile name = fixture_file(0);
    AioFile *file = file_open_ok(ctx, name.path, RW);
    file_fill(data, SIZE, 6);
    assert_int_equal(file_write(ctx, file, data, SIZE, 0, 0), SIZE);
    int64_t ret = file_discard(ctx, file, 10000, 50000);
    assert_true(ret == 0 || ret == -ENOTSUP);
    assert_int_equal(file_read(ctx, file, in, SIZE, 0), SIZE);
    assert_memory_equal(in, data, 10000);
    assert_memory_equal(in + 60000, data + 60000, SIZE - 60000);
    ret = file_discard(ctx, file, 90000, 50000);
    assert_true(ret == 0 || ret == -ENOTSUP);
    assert_int_equal(aio_file_size(file), SIZE);
    aio_file_close(file);
    fixture_file_remove(&name);
}

static void extents_tell_data_from_holes(AioContext *ctx)
{
    enum { MIB = 1 << 20 };
    static char data[MIB];
    FixtureFile name = fixture_file(4 * MIB);
    memset(data, 1, sizeof(data));
    fixture_file_store(&name, data, sizeof(data), 2 * MIB);
    AioFile *file = file_open_ok(ctx, name.path, RW);
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
}

static void offsets_are_64_bits_wide(AioContext *ctx)
{
    const int64_t far_away = INT64_C(5) << 30;
    char in[5] = "";
    AioFileExtent extent;
    FixtureFile name = fixture_file(0);
    AioFile *file = file_open_ok(ctx, name.path, RW);
    assert_int_equal(file_write(ctx, file, "far", 3, far_away, 0), 3);
    assert_int_equal(aio_file_size(file), far_away + 3);
    assert_int_equal(file_read(ctx, file, in, 5, far_away), 3);
    assert_string_equal(in, "far");
    assert_int_equal(aio_file_extent(file, far_away, 100, &extent), 0);
    assert_int_equal(extent.length, 3);
    assert_int_equal(file_zero(ctx, file, far_away + 1, 1, 0), 0);
    assert_int_equal(file_read(ctx, file, in, 3, far_away), 3);
    assert_memory_equal(in, "f\0r", 3);
    aio_file_close(file);
    fixture_file_remove(&name);
}

static void direct_read_ends_at_an_end_that_is_not_aligned(AioContext *ctx)
{
    enum { SIZE = 8192, USED = 5000 };
    static _Alignas(4096) char in[SIZE];
    static char out[USED];
    FixtureFile name = fixture_file(0);
    file_fill(out, USED, 3);
    fixture_file_store(&name, out, USED, 0);
    AioFile *file = aio_file_open(ctx, name.path, AIO_FILE_READ | AIO_FILE_DIRECT, NULL);
    if (file) {
        assert_int_equal(file_read(ctx, file, in, SIZE, 0), USED);
        assert_memory_equal(in, out, USED);
        assert_int_equal(file_read(ctx, file, in, SIZE, 4096), USED - 4096);
        assert_int_equal(file_read(ctx, file, in, SIZE, SIZE), 0);
    }
    aio_file_close(file);
    fixture_file_remove(&name);
}

static void transfers_may_pass_by_the_page_cache(void **state)
{
    (void)state;
    enum { SIZE = 65536 };
    AioContext *ctx = fixture_context();
    FixtureFile name = fixture_file(0);
    AioFile *file = aio_file_open(ctx, name.path, RW | AIO_FILE_DIRECT, NULL);
    static _Alignas(4096) char out[SIZE], in[SIZE];
    if (file) {
        file_fill(out, SIZE, 9);
        memset(in, 0, SIZE);
        assert_int_equal(file_write(ctx, file, out, SIZE, 0, AIO_FILE_FUA), SIZE);
        assert_int_equal(file_read(ctx, file, in, SIZE, 0), SIZE);
        assert_memory_equal(in, out, SIZE);
        assert_int_equal(file_zero(ctx, file, 4096, 8192, 0), 0);
        assert_int_equal(file_read(ctx, file, in, 16384, 0), 16384);
        assert_true(file_all_zero(in + 4096, 8192));
        int64_t ret =
            file_read(ctx, file, in + 1, 100, 3); /* misaligned: some systems don't mind */
        assert_true(ret == 100 || ret == -EINVAL);
    }
    aio_file_close(file);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
    if (!file) {
        fixture_skip("this file system always uses the page cache");
    }
}

static void devices_with_blocks_have_a_size(void **state)
{
    (void)state;
    const char *device = fixture_block_device();
    if (!device) {
        fixture_skip("no device with blocks may be read here");
    }
    char sector[512];
    AioFileExtent extent;
    AioContext *ctx = fixture_context();
    AioFile *file = file_open_ok(ctx, device, AIO_FILE_READ);
    int64_t size = aio_file_size(file);
    assert_true(size > 0);
    assert_int_equal(file_read(ctx, file, sector, 512, 0), 512);
    assert_int_equal(file_read(ctx, file, sector, 512, size - 100), 100);
    assert_int_equal(aio_file_extent(file, 0, 4096, &extent), 0);
    assert_int_equal(extent.length, 4096);
    assert_int_equal(aio_file_extent(file, size, 4096, &extent), -ENXIO);
    aio_file_close(file);
    fixture_context_free(ctx);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(what_is_written_is_read_and_in_the_file),
    cmocka_unit_test_home(hot_read_completes_after_the_call),
    cmocka_unit_test_home(more_pieces_than_the_system_takes_are_split),
    cmocka_unit_test_home(empty_pieces_count_for_nothing),
    cmocka_unit_test_home(array_of_pieces_is_free_after_the_call),
    cmocka_unit_test_home(read_is_short_only_at_the_end_of_the_file),
    cmocka_unit_test_home(requests_for_nothing_complete_with_nothing),
    cmocka_unit_test_home(flushes_and_durable_writes_succeed),
    cmocka_unit_test(zeroes_replace_data_with_every_flag),
    cmocka_unit_test_home(zeroes_keep_or_free_the_space),
    cmocka_unit_test_home(zeroes_beyond_the_end_make_the_file_longer),
    cmocka_unit_test_home(discard_leaves_size_and_neighbours),
    cmocka_unit_test_home(extents_tell_data_from_holes),
    cmocka_unit_test_home(offsets_are_64_bits_wide),
    cmocka_unit_test_home(direct_read_ends_at_an_end_that_is_not_aligned),
    cmocka_unit_test(transfers_may_pass_by_the_page_cache),
    cmocka_unit_test(devices_with_blocks_have_a_size),
};
TEST_MAIN(tests)
