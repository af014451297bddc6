/*
 * Files at the completion port, under a system that delays, reorders, cancels and fails their calls.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/file_delay.h"

#include <errno.h>

#include "core/context.h"
#include "core/file_pool.h"

enum { LENGTH = 20000, PIECE = 1000 };

static char data[LENGTH], buffer[LENGTH];

/* A file full of data, opened, and its calls delayed. */
typedef struct Bench {
    AioContext *ctx;
    FixtureFile name;
    AioFile *file;
    Delay delay;
} Bench;

static void bench_open(Bench *bench, AioContext *ctx, DelayWay way)
{
    bench->ctx = ctx;
    bench->name = fixture_file(0);
    file_fill(data, LENGTH, 3);
    memset(buffer, 0, LENGTH);
    fixture_file_store(&bench->name, data, LENGTH, 0);
    bench->file = file_open_ok(ctx, bench->name.path, RW);
    delay_start(&bench->delay, ctx, bench->file, &bench->name, way);
}

static void bench_close(Bench *bench)
{
    aio_file_close(bench->file);
    delay_over();
    fixture_file_remove(&bench->name);
}

/* The i-th piece. */
static AioRequest *submit_read(Bench *bench, int i, FileDone *d)
{
    AioIoVec piece = {.base = buffer + (ptrdiff_t)i * PIECE, .len = PIECE};
    d->ctx = bench->ctx;
    d->submitting = true;
    AioRequest *request =
        aio_file_preadv(bench->file, &piece, 1, (int64_t)i * PIECE, file_done, d, NULL);
    d->submitting = false;
    assert_non_null(request);
    return request;
}

/* Run whatever there is to run. */
static void settle(Bench *bench)
{
    while (drive(bench->ctx, false)) {
        continue;
    }
}

/* The result of a request: it comes later than its submission, and once. */
static int64_t finish(Bench *bench, FileDone *d)
{
    while (!d->calls) {
        drive(bench->ctx, true);
    }
    settle(bench);
    assert_int_equal(d->calls, 1);
    assert_false(d->inside);
    return d->ret;
}

static void held_reads_complete_in_the_order_of_their_ends(AioContext *ctx)
{
    enum { N = 4 };
    static const unsigned order[N] = {2, 0, 3, 1};
    Bench bench;
    FileDone d[N] = {{0}};
    bench_open(&bench, ctx, DELAY_HOLD);
    for (int i = 0; i < N; i++) {
        submit_read(&bench, i, &d[i]);
    }
    settle(&bench);
    assert_int_equal(bench.delay.held_count, N);
    for (int i = 0; i < N; i++) {
        assert_int_equal(d[order[i]].calls, 0);
        delay_end(&bench.delay, order[i]);
        assert_int_equal(d[order[i]].calls, 0);
        assert_int_equal(finish(&bench, &d[order[i]]), PIECE);
    }
    assert_memory_equal(buffer, data, N * PIECE);
    bench_close(&bench);
    for (int i = 0; i < N; i++) {
        assert_int_equal(d[i].calls, 1);
    }
}

static void many_requests_of_one_file_complete_once_each(AioContext *ctx)
{
    enum { N = LENGTH / PIECE };
    Bench bench;
    FileDone d[N] = {{0}};
    int left = N;
    bench_open(&bench, ctx, DELAY_HOLD);
    memset(buffer, 7, LENGTH);
    for (int i = 0; i < N; i++) {
        AioIoVec piece = {.base = buffer + (ptrdiff_t)i * PIECE, .len = PIECE};
        d[i].left = &left;
        assert_non_null(i % 2 ? aio_file_pwritev(bench.file, &piece, 1, (int64_t)i * PIECE, 0,
                                                 file_done, &d[i], NULL)
                              : submit_read(&bench, i, &d[i]));
    }
    for (unsigned i = 0; i < N; i++) {
        delay_end(&bench.delay, i * 7 % N); /* in a mixed order, and all at once */
    }
    while (left > 0) {
        drive(ctx, true);
    }
    settle(&bench);
    assert_int_equal(bench.delay.calls, N);
    assert_int_equal(atomic_load(&bench.delay.pooled), 0);
    for (int i = 0; i < N; i++) {
        char now[PIECE];
        assert_int_equal(d[i].calls, 1);
        assert_int_equal(d[i].ret, PIECE);
        assert_int_equal(fixture_file_load(&bench.name, now, PIECE, (int64_t)i * PIECE), PIECE);
        assert_memory_equal(now, buffer + (ptrdiff_t)i * PIECE, PIECE);
        assert_int_equal(memcmp(now, data + (ptrdiff_t)i * PIECE, PIECE) != 0, i % 2);
    }
    bench_close(&bench);
}

static void success_at_once_completes_once_and_later(AioContext *ctx)
{
    Bench bench;
    AioIoVec pieces[3] = {{buffer, 10}, {buffer + 10, 5000}, {buffer + 5010, 490}};
    bench_open(&bench, ctx, DELAY_TRUE);
    assert_int_equal(file_readv(ctx, bench.file, pieces, 3, 0), 5500);
    assert_memory_equal(buffer, data, 5500);
    assert_int_equal(file_write(ctx, bench.file, data, 100, 300, 0), 100);
    assert_int_equal(bench.delay.calls, 4);
    bench_close(&bench);
}

static void warning_at_once_completes_by_its_packet(AioContext *ctx)
{
    Bench bench;
    bench_open(&bench, ctx, DELAY_WARN);
    assert_int_equal(file_read(ctx, bench.file, buffer, PIECE, 0), PIECE);
    assert_memory_equal(buffer, data, PIECE);
    assert_int_equal(bench.delay.calls, 1);
    bench_close(&bench);
}

static void file_whose_calls_may_leave_no_packet_is_the_pools(AioContext *ctx)
{
    Bench bench;
    bench_open(&bench, ctx, DELAY_HOLD);
    assert_true(SetFileCompletionNotificationModes((HANDLE)aio_file_handle(bench.file),
                                                   FILE_SKIP_COMPLETION_PORT_ON_SUCCESS));
    assert_int_equal(file_read(ctx, bench.file, buffer, PIECE, 0), PIECE);
    assert_memory_equal(buffer, data, PIECE);
    assert_int_equal(bench.delay.calls, 0);
    assert_true(atomic_load(&bench.delay.pooled) > 0);
    bench_close(&bench);
}

static void failure_at_once_is_the_result_and_no_packet_is_waited_for(AioContext *ctx)
{
    static const struct {
        DWORD error;
        int64_t ret;
    } ends[] = {{ERROR_IO_DEVICE, -EIO}, {ERROR_DISK_FULL, -ENOSPC}, {ERROR_HANDLE_EOF, 0}};
    Bench bench;
    bench_open(&bench, ctx, DELAY_FAIL);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        bench.delay.error = ends[i].error;
        assert_int_equal(file_read(ctx, bench.file, buffer, PIECE, 0), ends[i].ret);
        assert_int_equal(bench.delay.calls, i + 1);
    }
    bench.delay.error = ERROR_LOCK_VIOLATION; /* once more, some times, and then no more */
    assert_int_equal(file_read(ctx, bench.file, buffer, PIECE, 0), -EAGAIN);
    assert_in_range(bench.delay.calls, 10, 1000);
    bench_close(&bench);
}

static void failure_that_a_packet_tells_is_the_result(AioContext *ctx)
{
    Bench bench;
    FileDone d[2] = {{0}};
    bench_open(&bench, ctx, DELAY_HOLD);
    submit_read(&bench, 0, &d[0]);
    delay_end_with(&bench.delay, 0, DELAY_DEVICE_ERROR);
    assert_int_equal(finish(&bench, &d[0]), -EIO);
    submit_read(&bench, 1, &d[1]);
    delay_end_with(&bench.delay, 1, DELAY_EOF);
    assert_int_equal(finish(&bench, &d[1]), 0);
    bench_close(&bench);
}

/* The end of the file is seen by a call that moves nothing, or not at all. */
static void short_transfers_are_put_together_up_to_the_end(AioContext *ctx)
{
    Bench bench;
    AioIoVec pieces[2] = {{buffer, 2500}, {buffer + 2500, 5000}};
    bench_open(&bench, ctx, DELAY_TRUE);
    bench.delay.at_most = 1000;
    assert_int_equal(file_readv(ctx, bench.file, pieces, 2, 100), 7500);
    assert_memory_equal(buffer, data + 100, 7500);
    assert_int_equal(bench.delay.calls, 8);
    assert_int_equal(file_write(ctx, bench.file, data, 2500, 0, 0), 2500);
    assert_int_equal(bench.delay.calls, 11);
    bench.delay.way = DELAY_HOLD;
    FileDone d = {.calls = 0};
    assert_non_null(aio_file_preadv(bench.file, pieces, 2, LENGTH - 1500, file_done, &d, NULL));
    for (unsigned i = 0; i < 3; i++) { /* 1000, 500, nothing */
        assert_int_equal(bench.delay.held_count, i + 1);
        delay_end(&bench.delay, i);
        drive(ctx, false);
    }
    assert_int_equal(finish(&bench, &d), 1500);
    assert_int_equal(bench.delay.held_count, 3);
    assert_memory_equal(buffer, data + LENGTH - 1500, 1500);
    bench_close(&bench);
}

/* All answers that the system may give: what counts is how the call ends. */
static void cancel_ends_a_request_or_changes_nothing(AioContext *ctx)
{
    static const struct {
        DelayCancel answer;
        int64_t ret;
    } ways[] = {
        {DELAY_CANCEL, -ECANCELED}, {DELAY_CANCEL_NOT_FOUND, PIECE}, {DELAY_CANCEL_LATE, PIECE}};
    for (size_t way = 0; way < sizeof(ways) / sizeof(ways[0]); way++) {
        Bench bench;
        FileDone d[2] = {{0}};
        bench_open(&bench, ctx, DELAY_HOLD);
        bench.delay.on_cancel = ways[way].answer;
        AioRequest *request = submit_read(&bench, 0, &d[0]);
        submit_read(&bench, 1, &d[1]);
        aio_request_cancel_async(request);
        aio_request_cancel_async(request);
        assert_int_equal(d[0].calls, 0);
        assert_true(bench.delay.cancels > 0);
        if (ways[way].answer != DELAY_CANCEL) {
            settle(&bench);
            assert_int_equal(d[0].calls, 0);
            delay_end(&bench.delay, 0);
        }
        assert_int_equal(finish(&bench, &d[0]), ways[way].ret);
        assert_int_equal(d[1].calls, 0); /* nobody asked for that */
        delay_end(&bench.delay, 1);
        assert_int_equal(finish(&bench, &d[1]), PIECE);
        bench_close(&bench);
    }
}

static void cancelled_request_starts_no_further_piece(AioContext *ctx)
{
    Bench bench;
    AioIoVec pieces[2] = {{buffer, PIECE}, {buffer + PIECE, PIECE}};
    FileDone d = {.calls = 0};
    bench_open(&bench, ctx, DELAY_HOLD);
    bench.delay.on_cancel = DELAY_CANCEL_NOT_FOUND;
    AioRequest *request = aio_file_preadv(bench.file, pieces, 2, 0, file_done, &d, NULL);
    assert_non_null(request);
    aio_request_cancel_async(request);
    delay_end(&bench.delay, 0);
    assert_int_equal(finish(&bench, &d), -ECANCELED);
    assert_int_equal(bench.delay.calls, 1);
    bench_close(&bench);
}

/* Its packet was taken, and its callback has not run: there is nothing left to cancel. */
static void cancel_after_the_end_changes_nothing(AioContext *ctx)
{
    Bench bench;
    FileDone d = {.calls = 0};
    AioList ready;
    aio__list_init(&ready);
    bench_open(&bench, ctx, DELAY_HOLD);
    AioRequest *request = submit_read(&bench, 0, &d);
    delay_end(&bench.delay, 0);
    assert_int_equal(aio__poller_port_of(ctx->poller)->expected, 1);
    assert_int_equal(ctx->poller->ops->wait(ctx->poller, 0, &ready), 0);
    assert_int_equal(aio__poller_port_of(ctx->poller)->expected, 0);
    assert_int_equal(d.calls, 0);
    aio_request_cancel_async(request);
    assert_int_equal(finish(&bench, &d), PIECE);
    assert_int_equal(bench.delay.cancels, 0);
    bench_close(&bench);
}

/* Work that keeps the one worker from all else. */
typedef struct Blocker {
    AioPoolWork work;
    HANDLE event;
    bool done;
} Blocker;

static void block(AioPoolWork *work)
{
    WaitForSingleObject(AIO_CONTAINER_OF(work, Blocker, work)->event, INFINITE);
}

static void unblocked(AioPoolWork *work, bool cancelled)
{
    (void)cancelled;
    AIO_CONTAINER_OF(work, Blocker, work)->done = true;
}

static void cancel_of_what_the_pool_has_takes_it_back(AioContext *ctx)
{
    Bench bench;
    FileDone d = {.calls = 0};
    Blocker blocker = {.work = {.run = block, .done = unblocked}};
    bench_open(&bench, ctx, DELAY_HOLD);
    blocker.event = CreateEventW(NULL, TRUE, FALSE, NULL);
    AioThreadPool *pool = ((AioFilePool *)(void *)ctx->engine)->pool;
    aio__thread_pool_bound(pool, 0, 1);
    assert_int_equal(aio__thread_pool_queue(pool, &blocker.work), 0);
    AioRequest *request = aio_file_fsync(bench.file, file_done, &d, NULL);
    assert_non_null(request);
    aio_request_cancel_async(request);
    assert_int_equal(finish(&bench, &d), -ECANCELED);
    assert_int_equal(bench.delay.cancels, 0);
    SetEvent(blocker.event);
    while (!blocker.done) {
        drive(ctx, true);
    }
    CloseHandle(blocker.event);
    bench_close(&bench);
}

/* Ends one held call at a time, while the file is being closed. */
typedef struct Ender {
    Delay *delay;
    AioBh *bh;
    FileDone *done;
    unsigned ended;
    bool early; /* one was completed before it had ended */
} Ender;

static void end_next(void *opaque)
{
    Ender *ender = opaque;
    ender->early |= ender->done[ender->ended].calls > 0;
    delay_end(ender->delay, ender->ended++);
    if (ender->ended < ender->delay->held_count) {
        aio_bh_schedule(ender->bh);
    }
}

static void close_waits_for_the_calls_that_are_under_way(AioContext *ctx)
{
    enum { N = 5 };
    Bench bench;
    FileDone d[N] = {{0}};
    Ender ender = {.delay = &bench.delay, .done = d};
    bench_open(&bench, ctx, DELAY_HOLD);
    HANDLE handle = (HANDLE)aio_file_handle(bench.file);
    for (int i = 0; i < N; i++) {
        submit_read(&bench, i, &d[i]);
    }
    ender.bh = aio_bh_new(ctx, end_next, &ender);
    aio_bh_schedule(ender.bh);
    aio_file_close(bench.file);
    delay_over();
    assert_false(fixture_is_open((AioHandle)handle));
    assert_int_equal(ender.ended, N);
    assert_false(ender.early);
    for (int i = 0; i < N; i++) {
        assert_int_equal(d[i].calls, 1);
        assert_int_equal(d[i].ret, PIECE);
    }
    assert_memory_equal(buffer, data, N * PIECE);
    aio_bh_delete(ender.bh);
    fixture_file_remove(&bench.name);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(held_reads_complete_in_the_order_of_their_ends),
    cmocka_unit_test_home(many_requests_of_one_file_complete_once_each),
    cmocka_unit_test_home(success_at_once_completes_once_and_later),
    cmocka_unit_test_home(warning_at_once_completes_by_its_packet),
    cmocka_unit_test_home(file_whose_calls_may_leave_no_packet_is_the_pools),
    cmocka_unit_test_home(failure_at_once_is_the_result_and_no_packet_is_waited_for),
    cmocka_unit_test_home(failure_that_a_packet_tells_is_the_result),
    cmocka_unit_test_home(short_transfers_are_put_together_up_to_the_end),
    cmocka_unit_test_home(cancel_ends_a_request_or_changes_nothing),
    cmocka_unit_test_home(cancelled_request_starts_no_further_piece),
    cmocka_unit_test_home(cancel_after_the_end_changes_nothing),
    cmocka_unit_test_home(cancel_of_what_the_pool_has_takes_it_back),
    cmocka_unit_test_home(close_waits_for_the_calls_that_are_under_way),
};
TEST_MAIN(tests)
