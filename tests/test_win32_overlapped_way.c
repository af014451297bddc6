/*
 * Which requests of files go by the completion port, which by the pool, and which move the pages of several pieces by
 * one call.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "core/context.h"
#include "tests/file_delay.h"

enum { PAGE = 4096, LENGTH = 100 * PAGE };

static _Alignas(PAGE) char data[LENGTH], buffer[LENGTH];

static unsigned pooled(Delay *delay)
{
    return atomic_exchange(&delay->pooled, 0);
}

static unsigned calls(Delay *delay)
{
    unsigned count = delay->calls;
    delay->calls = 0;
    return count;
}

static void engine_goes_with_the_poller(AioContext *ctx)
{
    FixtureFile name = fixture_file(10);
    AioFile *file = file_open_ok(ctx, name.path, RW);
    assert_string_equal(ctx->engine->ops->name, "overlapped");
    aio_file_close(file);
    AioContextOptions options = {.size = sizeof(options), .poller = "handle", .name = "other"};
    AioContext *other = aio_context_new_with_options(&options, NULL);
    if (other) { /* it may have been left out */
        file = file_open_ok(other, name.path, RW);
        assert_string_equal(other->engine->ops->name, "pool");
        assert_int_equal(file_read(other, file, buffer, 10, 0), 10);
        aio_file_close(file);
        fixture_context_free(other);
    }
    fixture_file_remove(&name);
}

static void reads_and_writes_within_the_file_go_by_the_port(AioContext *ctx)
{
    Delay delay;
    FixtureFile name = fixture_file(1003);
    AioFile *file = file_open_ok(ctx, name.path, RW);
    delay_start(&delay, ctx, file, &name, DELAY_PASS);
    file_fill(data, 1003, 1);
    assert_int_equal(file_write(ctx, file, data, 1003, 0, 0), 1003);
    assert_int_equal(file_read(ctx, file, buffer, 1003, 0), 1003);
    assert_memory_equal(buffer, data, 1003);
    assert_int_equal(calls(&delay), 2);
    assert_int_equal(file_read(ctx, file, buffer, 2000, 1000), 3); /* a second call sees the end */
    assert_int_equal(file_read(ctx, file, buffer, 10, 2000), 0);
    assert_int_equal(calls(&delay), 3);
    assert_int_equal(pooled(&delay), 0);
    delay_over();
    aio_file_close(file);
    fixture_file_remove(&name);
}

static void what_would_hold_up_the_caller_goes_by_the_pool(AioContext *ctx)
{
    Delay delay;
    FixtureFile name = fixture_file(1000);
    AioFile *file = file_open_ok(ctx, name.path, RW);
    delay_start(&delay, ctx, file, &name, DELAY_PASS);
    assert_int_equal(file_write(ctx, file, data, 500, 501, 0), 500); /* makes it longer */
    assert_int_equal(pooled(&delay), 1);
    assert_int_equal(file_write(ctx, file, data, 500, 501, 0), 500); /* and now it is */
    assert_int_equal(calls(&delay), 1);
    assert_int_equal(file_write(ctx, file, data, 500, 100, AIO_FILE_FUA), 500);
    assert_int_equal(file_zero(ctx, file, 0, 100, AIO_FILE_NO_HOLE), 0);
    assert_int_equal(pooled(&delay), 2);
    int64_t discarded = file_discard(ctx, file, 0, 100);
    assert_true(discarded == 0 || discarded == -ENOTSUP);
    assert_int_equal(calls(&delay), 0);
    assert_int_equal(fixture_file_size(&name), 1001);
    delay_over();
    aio_file_close(file);
    fixture_file_remove(&name);
}

/* The file was longer when its size was asked for. */
static void write_to_a_file_cut_off_by_others_extends_it(AioContext *ctx)
{
    FixtureFile name = fixture_file(1000);
    AioFile *file = file_open_ok(ctx, name.path, RW);
    assert_int_equal(file_write(ctx, file, data, 100, 900, 0), 100);
    HANDLE handle = (HANDLE)fixture_file_handle(&name, true);
    assert_true(SetEndOfFile(handle));
    CloseHandle(handle);
    assert_int_equal(file_write(ctx, file, data, 100, 800, 0), 100);
    assert_int_equal(fixture_file_size(&name), 900);
    aio_file_close(file);
    fixture_file_remove(&name);
}

static void misaligned_requests_past_the_cache_are_refused_without_a_call(AioContext *ctx)
{
    Delay delay;
    FixtureFile name = fixture_file(LENGTH + 100);
    AioFile *file = file_open_ok(ctx, name.path, RW | AIO_FILE_DIRECT);
    delay_start(&delay, ctx, file, &name, DELAY_PASS);
    assert_int_equal(file_read(ctx, file, buffer + 1, PAGE, 0), -EINVAL);
    assert_int_equal(file_read(ctx, file, buffer, PAGE, 100), -EINVAL);
    assert_int_equal(file_write(ctx, file, buffer, 100, 0, 0), -EINVAL);
    assert_int_equal(calls(&delay), 0);
    /* The rest of a read that met the end is misaligned, too, and no error. */
    assert_int_equal(file_read(ctx, file, buffer, PAGE, LENGTH), 100);
    assert_int_equal(calls(&delay), 1);
    assert_int_equal(pooled(&delay), 0);
    delay_over();
    aio_file_close(file);
    fixture_file_remove(&name);
}

static HANDLE open_handle(const FixtureFile *name, DWORD how)
{
    HANDLE handle = CreateFileA(name->path, GENERIC_READ | GENERIC_WRITE,
                                FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING, how, NULL);
    assert_ptr_not_equal(handle, INVALID_HANDLE_VALUE);
    return handle;
}

/* Reads by a file of that handle; whether the port was used. */
static bool goes_by_the_port(AioContext *ctx, FixtureFile *name, HANDLE handle, bool own)
{
    Delay delay;
    AioFile *file = aio_file_from_handle(ctx, (AioHandle)handle, own, NULL);
    assert_non_null(file);
    delay_start(&delay, ctx, file, name, DELAY_PASS);
    assert_int_equal(file_read(ctx, file, buffer, 100, 0), 100);
    assert_int_equal(file_write(ctx, file, buffer, 100, 0, 0), 100);
    assert_int_equal(delay.calls + atomic_load(&delay.pooled), 2);
    bool by_port = delay.calls == 2;
    delay_over();
    aio_file_close(file);
    return by_port;
}

static void lent_handle_is_not_bound(AioContext *ctx)
{
    FixtureFile name = fixture_file(100);
    HANDLE handle = open_handle(&name, FILE_FLAG_OVERLAPPED);
    assert_false(goes_by_the_port(ctx, &name, handle, false));
    HANDLE port = CreateIoCompletionPort(handle, NULL, 0, 1); /* still free to be */
    assert_non_null(port);
    CloseHandle(handle);
    CloseHandle(port);
    fixture_file_remove(&name);
}

static void handle_that_cannot_be_bound_goes_by_the_pool(AioContext *ctx)
{
    FixtureFile name = fixture_file(100);
    assert_true(goes_by_the_port(ctx, &name, open_handle(&name, FILE_FLAG_OVERLAPPED), true));
    assert_false(goes_by_the_port(ctx, &name, open_handle(&name, FILE_ATTRIBUTE_NORMAL), true));
    HANDLE handle = open_handle(&name, FILE_FLAG_OVERLAPPED);
    HANDLE port = CreateIoCompletionPort(handle, NULL, 0, 1);
    assert_non_null(port);
    assert_false(goes_by_the_port(ctx, &name, handle, true));
    CloseHandle(port);
    fixture_file_remove(&name);
}

/* Pieces in another order than in memory; what is moved to them is checked by who does not know lists. */
static void lists_of_pages_move_the_right_bytes(AioContext *ctx)
{
    static const size_t lengths[] = {1, 3, 2, 10}; /* pages */
    enum { N = 4, ALL = 16 * PAGE };
    Delay delay;
    FixtureFile name = fixture_file(LENGTH);
    AioFile *file = file_open_ok(ctx, name.path, RW | AIO_FILE_DIRECT);
    for (int held = 0; held < 2; held++) {
        AioIoVec out[N], in[N];
        size_t at = 0;
        delay_start(&delay, ctx, file, &name, held ? DELAY_TRUE : DELAY_PASS);
        file_fill(data, LENGTH, 5 + (unsigned)held);
        memset(buffer, 0, LENGTH);
        for (int i = 0; i < N; i++) {
            out[i] =
                (AioIoVec){.base = data + (size_t)(20 * (N - i)) * PAGE, .len = lengths[i] * PAGE};
            in[i] = (AioIoVec){.base = buffer + (size_t)(20 * (i ^ 1)) * PAGE,
                               .len = lengths[i] * PAGE};
        }
        assert_int_equal(file_writev(ctx, file, out, N, 2 * PAGE, 0), ALL);
        assert_int_equal(file_readv(ctx, file, in, N, 2 * PAGE), ALL);
        assert_int_equal(delay.calls, 2);
        assert_int_equal(delay.lists, 2);
        for (int i = 0; i < N; i++) {
            static char now[10 * PAGE];
            assert_int_equal(fixture_file_load(&name, now, out[i].len, 2 * PAGE + (int64_t)at),
                             out[i].len);
            assert_memory_equal(now, out[i].base, out[i].len);
            assert_memory_equal(in[i].base, out[i].base, in[i].len);
            at += out[i].len;
        }
        delay_over();
    }
    aio_file_close(file);
    fixture_file_remove(&name);
}

static void what_is_no_list_of_pages_goes_piece_by_piece(AioContext *ctx)
{
    enum { SECTOR = 512 };
    Delay delay;
    FixtureFile name = fixture_file(LENGTH);
    AioFile *file = file_open_ok(ctx, name.path, RW | AIO_FILE_DIRECT);
    AioIoVec sectors[2] = {{buffer, PAGE}, {buffer + PAGE, SECTOR}};
    AioIoVec shifted[2] = {{buffer + SECTOR, PAGE}, {buffer + 2 * PAGE, PAGE}};
    AioIoVec one[1] = {{buffer, 2 * PAGE}};
    AioIoVec longer[2] = {{buffer, PAGE}, {buffer + PAGE, 64 * PAGE}};
    delay_start(&delay, ctx, file, &name, DELAY_PASS);
    assert_int_equal(file_readv(ctx, file, sectors, 2, 0), PAGE + SECTOR);
    assert_int_equal(file_writev(ctx, file, shifted, 2, 0, 0), 2 * PAGE);
    assert_int_equal(file_readv(ctx, file, one, 1, 0), 2 * PAGE);
    assert_int_equal(file_readv(ctx, file, longer, 2, 0), 65 * PAGE);
    assert_int_equal(delay.lists, 0);
    assert_int_equal(delay.calls, 7);
    longer[1].len -= PAGE;
    assert_int_equal(file_readv(ctx, file, longer, 2, 0), 64 * PAGE);
    assert_int_equal(delay.lists, 1);
    delay_over();
    aio_file_close(file);
    fixture_file_remove(&name);
}

/* Nobody but a wait of the context's own sees packets: a host does not sleep while some are to come. */
static void under_a_host_requests_go_by_the_pool(AioContext *ctx)
{
    Delay delay;
    FixtureFile name = fixture_file(100);
    AioFile *file = file_open_ok(ctx, name.path, RW);
    AioIoVec piece = {.base = buffer, .len = 100};
    FileDone d = {.calls = 0};
    delay_start(&delay, ctx, file, &name, DELAY_HOLD);
    assert_non_null(aio_file_preadv(file, &piece, 1, 0, file_done, &d, NULL));
    for (int i = 0; i < 3; i++) {
        assert_true(aio_prepare(ctx)); /* there is work: no sleep */
        aio_dispatch(ctx);
    }
    delay_end(&delay, 0);
    assert_true(aio_prepare(ctx));
    aio_dispatch(ctx);
    assert_int_equal(d.calls, 1);
    assert_int_equal(d.ret, 100);
    assert_int_equal(delay.calls, 1);
    int turns = 0;
    while (aio_prepare(ctx) && turns++ < 10) { /* nothing is to come any more: it may sleep */
        aio_dispatch(ctx);
    }
    assert_in_range(turns, 0, 9);
    d.calls = 0;
    assert_non_null(aio_file_preadv(file, &piece, 1, 0, file_done, &d, NULL));
    while (!d.calls) {
        AioHandle notifier = aio_notifier_handle(&ctx->notify.notifier);
        if (!aio_prepare(ctx)) {
            assert_true(fixture_wait_readable(&notifier, 1, 10000));
        }
        aio_pending(ctx);
        aio_dispatch(ctx);
    }
    assert_int_equal(d.ret, 100);
    assert_int_equal(delay.calls, 1);
    assert_int_equal(pooled(&delay), 1);
    delay_over();
    aio_file_close(file);
    fixture_file_remove(&name);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(engine_goes_with_the_poller),
    cmocka_unit_test_home(reads_and_writes_within_the_file_go_by_the_port),
    cmocka_unit_test_home(what_would_hold_up_the_caller_goes_by_the_pool),
    cmocka_unit_test_home(write_to_a_file_cut_off_by_others_extends_it),
    cmocka_unit_test_home(misaligned_requests_past_the_cache_are_refused_without_a_call),
    cmocka_unit_test_home(lent_handle_is_not_bound),
    cmocka_unit_test_home(handle_that_cannot_be_bound_goes_by_the_pool),
    cmocka_unit_test_home(lists_of_pages_move_the_right_bytes),
    cmocka_unit_test_home(what_is_no_list_of_pages_goes_piece_by_piece),
    cmocka_unit_test_home(under_a_host_requests_go_by_the_pool),
};
TEST_MAIN(tests)
