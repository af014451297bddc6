/*
 * Files and threads where the system refuses, interrupts or does half of what it was asked for.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "tests/file_fault.h"
#include "tests/file_help.h"
#include "tests/pool_help.h"

enum { SIZE = 100000 }; /* more than is read without a worker */

static char data[SIZE], buffer[SIZE];

typedef struct Bench {
    AioContext *ctx;
    FixtureFile name;
    AioFile *file;
    unsigned handles;
} Bench;

/* A file full of data, opened. */
static Bench bench_open(void)
{
    Bench bench = {.handles = fixture_open_handles()};
    bench.ctx = fixture_context();
    bench.name = fixture_file(0);
    file_fill(data, SIZE, 1);
    fixture_file_store(&bench.name, data, SIZE, 0);
    bench.file = file_open_ok(bench.ctx, bench.name.path, RW);
    fault_reset();
    return bench;
}

static void bench_close(Bench *bench)
{
    fault_reset();
    aio_file_close(bench->file);
    fixture_file_remove(&bench->name);
    fixture_context_free(bench->ctx);
    assert_true(fixture_handles_left(bench->handles));
}

static int64_t read_all(Bench *bench)
{
    memset(buffer, 0, SIZE);
    return file_read(bench->ctx, bench->file, buffer, SIZE, 0);
}

static void refused_open_is_told_and_leaves_nothing(void **state)
{
    (void)state;
    static const struct {
        FileFault call;
        int error, code;
        unsigned flags;
        const char *text;
    } faults[] = {
        {FILE_FAULT_OPEN, EACCES, EACCES, RW, ""},
        {FILE_FAULT_OPEN, EMFILE, EMFILE, RW, ""},
        {FILE_FAULT_OPEN, EIO, EIO, RW, ""},
        {FILE_FAULT_SEEK, ESPIPE, ESPIPE, RW, ""},
        {FILE_FAULT_CONTROL, EBADF, EBADF, RW, ""},
        {FILE_FAULT_CONTROL, EACCES, EAGAIN, RW | AIO_FILE_LOCK, "locked"},
        {FILE_FAULT_CONTROL, EAGAIN, EAGAIN, RW | AIO_FILE_LOCK, "locked"},
        {FILE_FAULT_CONTROL, ENOLCK, ENOLCK, RW | AIO_FILE_LOCK, ""},
        {FILE_FAULT_TRUNCATE, EIO, EIO, RW | AIO_FILE_LOCK | AIO_FILE_TRUNCATE, ""},
    };
    Bench bench = bench_open();
    unsigned handles = fixture_open_handles();
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        AioError *error = NULL;
        fault_arm(faults[i].call, 1, 1, faults[i].error);
        assert_null(aio_file_open(bench.ctx, bench.name.path, faults[i].flags, &error));
        assert_int_equal(fault_reset(), 1);
        assert_int_equal(aio_error_code(error), faults[i].code);
        assert_non_null(strstr(aio_error_message(error), bench.name.path));
        assert_non_null(strstr(aio_error_message(error), faults[i].text));
        aio_error_free(error);
        assert_true(fixture_handles_left(handles));
    }
    fault_arm(FILE_FAULT_OPEN, 1, 5, EINTR);
    aio_file_close(file_open_ok(bench.ctx, bench.name.path, RW)); /* tried again */
    bench_close(&bench);
}

static void reads_get_over_interruptions_and_short_results(void **state)
{
    (void)state;
    static const int faults[] = {EINTR, EAGAIN, FAULT_SHORT};
    Bench bench = bench_open();
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        fault_arm(FILE_FAULT_READ, 1, 7, faults[i]);
        assert_int_equal(read_all(&bench), SIZE);
        assert_memory_equal(buffer, data, SIZE);
        assert_int_equal(fault_reset(), 7);
    }
    bench_close(&bench);
}

static void read_that_fails_halfway_is_an_error(void **state)
{
    (void)state;
    Bench bench = bench_open();
    static AioIoVec pieces[2000]; /* more than the system takes at once */
    for (int i = 0; i < 2000; i++) {
        pieces[i] = (AioIoVec){.base = buffer + i * 50, .len = 50};
    }
    for (unsigned n = 1; n <= 2; n++) {
        fault_arm(FILE_FAULT_READ, n, 1, EIO);
        assert_int_equal(file_readv(bench.ctx, bench.file, pieces, 2000, 0), -EIO);
        assert_int_equal(fault_reset(), 1);
    }
    fault_arm(FILE_FAULT_READ, 1, FAULT_ALWAYS, EAGAIN);
    assert_int_equal(read_all(&bench), -EAGAIN); /* it does not try for ever */
    assert_in_range(fault_reset(), 2, 1000);
    assert_int_equal(read_all(&bench), SIZE);
    bench_close(&bench);
}

/* Whatever becomes of the attempt at home, a worker finds out what is the matter. */
static void refused_read_at_home_is_left_to_a_worker(void **state)
{
    (void)state;
    static const int faults[] = {EAGAIN, EINTR, ENOSYS, EOPNOTSUPP, EIO, FAULT_SHORT};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        Bench bench = bench_open();
        for (unsigned round = 0; round < 3; round++) {
            memset(buffer, 0, 100);
            fault_arm(FILE_FAULT_READ_NOWAIT, 1, 1, faults[i]);
            assert_int_equal(file_read(bench.ctx, bench.file, buffer, 100, 50), 100);
            assert_memory_equal(buffer, data + 50, 100);
        }
        bool never_again = faults[i] == ENOSYS || faults[i] == EOPNOTSUPP;
        if (never_again) {
            assert_int_equal(fault_count(FILE_FAULT_READ_NOWAIT), 1);
        }
        fault_arm(FILE_FAULT_READ_NOWAIT, 1, 1, EIO);
        fault_arm(FILE_FAULT_READ, 1, 1, EIO);
        assert_int_equal(file_read(bench.ctx, bench.file, buffer, 100, 50), -EIO);
        bench_close(&bench);
    }
}

static void writes_get_over_interruptions_and_short_results(void **state)
{
    (void)state;
    static const int faults[] = {EINTR, EAGAIN, FAULT_SHORT};
    static const FileFault calls[] = {FILE_FAULT_WRITE, FILE_FAULT_WRITE_DURABLE};
    Bench bench = bench_open();
    for (unsigned durable = 0; durable < 2; durable++) {
        for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
            file_fill(data, SIZE, 2 + (unsigned)i + 10 * durable);
            fault_arm(calls[durable], 1, 7, faults[i]);
            assert_int_equal(
                file_write(bench.ctx, bench.file, data, SIZE, 0, durable ? AIO_FILE_FUA : 0), SIZE);
            assert_int_equal(fault_reset(), 7);
            assert_int_equal(read_all(&bench), SIZE);
            assert_memory_equal(buffer, data, SIZE);
        }
    }
    bench_close(&bench);
}

static void write_that_fails_is_an_error(void **state)
{
    (void)state;
    static const int faults[] = {ENOSPC, EIO, EDQUOT, EFBIG};
    static const FileFault calls[] = {FILE_FAULT_WRITE, FILE_FAULT_WRITE_DURABLE};
    Bench bench = bench_open();
    for (unsigned durable = 0; durable < 2; durable++) {
        for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
            fault_arm(calls[durable], 1, 1, faults[i]);
            assert_int_equal(
                file_write(bench.ctx, bench.file, data, SIZE, 0, durable ? AIO_FILE_FUA : 0),
                -faults[i]);
            assert_int_equal(fault_reset(), 1);
        }
    }
    bench_close(&bench);
}

static void durable_write_is_followed_by_a_flush_where_the_system_has_none(void **state)
{
    (void)state;
    static const int faults[] = {ENOSYS, EOPNOTSUPP};
    Bench bench = bench_open();
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        fault_arm(FILE_FAULT_WRITE_DURABLE, 1, FAULT_ALWAYS, faults[i]);
        assert_int_equal(file_write(bench.ctx, bench.file, data, 10, 0, AIO_FILE_FUA), 10);
        assert_int_equal(fault_count(FILE_FAULT_FDATASYNC), 1);
        fault_arm(FILE_FAULT_FDATASYNC, 1, 1, EIO);
        assert_int_equal(file_write(bench.ctx, bench.file, data, 10, 0, AIO_FILE_FUA), -EIO);
        fault_arm(FILE_FAULT_WRITE, 1, 1, ENOSPC);
        assert_int_equal(file_write(bench.ctx, bench.file, data, 10, 0, AIO_FILE_FUA), -ENOSPC);
        fault_reset();
    }
    bench_close(&bench);
}

static int64_t sync_file(Bench *bench, FileFault call)
{
    FileDone d = {.submitting = true};
    AioRequest *request = call == FILE_FAULT_FSYNC
                              ? aio_file_fsync(bench->file, file_done, &d, NULL)
                              : aio_file_fdatasync(bench->file, file_done, &d, NULL);
    return file_finish(bench->ctx, &d, request);
}

static void failed_flush_is_told_and_not_repeated(void **state)
{
    (void)state;
    static const int faults[] = {EIO, ENOSPC, EDQUOT};
    static const FileFault calls[] = {FILE_FAULT_FSYNC, FILE_FAULT_FDATASYNC};
    Bench bench = bench_open();
    for (int c = 0; c < 2; c++) {
        for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
            fault_arm(calls[c], 1, 1, faults[i]);
            assert_int_equal(sync_file(&bench, calls[c]), -faults[i]);
            assert_int_equal(fault_count(calls[c]), 1);
            fault_reset();
        }
        fault_arm(calls[c], 1, 3, EINTR);
        assert_int_equal(sync_file(&bench, calls[c]), 0);
        assert_int_equal(fault_reset(), 3);
    }
    bench_close(&bench);
}

static void discard_is_refused_where_the_system_cannot(void **state)
{
    (void)state;
    static const int faults[][2] = {{EOPNOTSUPP, -ENOTSUP},
                                    {ENOSYS, -ENOTSUP},
                                    {ENODEV, -ENOTSUP},
                                    {EIO, -EIO},
                                    {EPERM, -EPERM}};
    Bench bench = bench_open();
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        fault_arm(FILE_FAULT_ALLOCATE, 1, FAULT_ALWAYS, faults[i][0]);
        assert_int_equal(file_discard(bench.ctx, bench.file, 0, SIZE), faults[i][1]);
    }
    fault_reset();
    assert_int_equal(read_all(&bench), SIZE);
    assert_memory_equal(buffer, data, SIZE);
    bench_close(&bench);
}

static void zeroes_are_written_where_the_system_has_no_quick_way(void **state)
{
    (void)state;
    static const int faults[] = {EOPNOTSUPP, ENOSYS, ENODEV};
    static const unsigned flags[] = {0, AIO_FILE_NO_HOLE, AIO_FILE_FUA};
    Bench bench = bench_open();
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        fixture_file_store(&bench.name, data, SIZE, 0);
        fault_arm(FILE_FAULT_ALLOCATE, 1, FAULT_ALWAYS, faults[i]);
        fault_arm(FILE_FAULT_WRITE, 1, 3, FAULT_SHORT);
        assert_int_equal(file_zero(bench.ctx, bench.file, 0, SIZE, AIO_FILE_FAST), -ENOTSUP);
        assert_int_equal(file_zero(bench.ctx, bench.file, 10, SIZE - 20, flags[i]), 0);
        fault_reset();
        assert_int_equal(read_all(&bench), SIZE);
        assert_memory_equal(buffer, data, 10);
        assert_true(file_all_zero(buffer + 10, SIZE - 20));
        assert_memory_equal(buffer + SIZE - 10, data + SIZE - 10, 10);
    }
    /* Only the first of two quick ways is missing. */
    fault_arm(FILE_FAULT_ALLOCATE, 1, 1, EOPNOTSUPP);
    int64_t ret = file_zero(bench.ctx, bench.file, 0, SIZE, AIO_FILE_FAST);
    assert_true(ret == 0 || ret == -ENOTSUP);
    bench_close(&bench);
}

static void zeroes_that_fail_are_an_error(void **state)
{
    (void)state;
    Bench bench = bench_open();
    fault_arm(FILE_FAULT_ALLOCATE, 1, 1, ENOSPC);
    assert_int_equal(file_zero(bench.ctx, bench.file, 0, SIZE, 0), -ENOSPC);
    fault_arm(FILE_FAULT_ALLOCATE, 1, 3, EINTR);
    assert_int_equal(file_zero(bench.ctx, bench.file, 0, SIZE, 0), 0);
    fault_arm(FILE_FAULT_ALLOCATE, 1, FAULT_ALWAYS, ENOSYS);
    fault_arm(FILE_FAULT_WRITE, 1, 1, ENOSPC);
    assert_int_equal(file_zero(bench.ctx, bench.file, 0, SIZE, 0), -ENOSPC);
    fault_reset();
    fault_arm(FILE_FAULT_FDATASYNC, 1, 1, EIO);
    assert_int_equal(file_zero(bench.ctx, bench.file, 0, SIZE, AIO_FILE_FUA), -EIO);
    bench_close(&bench);
}

static void extents_are_all_data_where_the_system_does_not_know(void **state)
{
    (void)state;
    static const int faults[][2] = {{EINVAL, 0}, {EOPNOTSUPP, 0}, {EIO, -EIO}};
    Bench bench = bench_open();
    AioFileExtent extent;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        fault_arm(FILE_FAULT_SEEK, 1, FAULT_ALWAYS, faults[i][0]);
        extent = (AioFileExtent){.is_hole = true};
        assert_int_equal(aio_file_extent(bench.file, 10, SIZE, &extent), faults[i][1]);
        if (!faults[i][1]) {
            assert_false(extent.is_hole);
            assert_int_equal(extent.length, SIZE - 10);
        }
    }
    bench_close(&bench);
}

/* One of everything. Returns how many failed. */
static unsigned use_everything(Bench *bench)
{
    AioFileExtent extent;
    FileDone d[7] = {{0}};
    AioIoVec small = {.base = buffer, .len = 10}, large = {.base = buffer + 10, .len = SIZE - 10};
    AioRequest *requests[] = {
        aio_file_preadv(bench->file, &small, 1, 0, file_done, &d[0], NULL),
        aio_file_preadv(bench->file, &large, 1, 10, file_done, &d[1], NULL),
        aio_file_pwritev(bench->file, &small, 1, SIZE, 0, file_done, &d[2], NULL),
        aio_file_pwritev(bench->file, &small, 1, SIZE + 10, AIO_FILE_FUA, file_done, &d[3], NULL),
        aio_file_fsync(bench->file, file_done, &d[4], NULL),
        aio_file_fdatasync(bench->file, file_done, &d[5], NULL),
        aio_file_write_zeroes(bench->file, SIZE + 20, 10, 0, file_done, &d[6], NULL),
    };
    unsigned failed = aio_file_extent(bench->file, 0, SIZE, &extent) < 0;
    for (int i = 0; i < 7; i++) {
        while (requests[i] && !d[i].calls) {
            drive(bench->ctx, true);
        }
        assert_int_equal(d[i].calls, requests[i] ? 1 : 0);
        failed += !requests[i] || d[i].ret < 0;
    }
    return failed;
}

/* Each call that is made fails once: that fails no more than its own request, and the next round is well. */
static void failure_of_any_call_fails_its_request_only(void **state)
{
    (void)state;
    for (unsigned call = 0; call < FILE_FAULTS; call++) {
        bool failed = true;
        for (unsigned n = 1; failed; n++) {
            Bench bench = bench_open();
            fault_arm(call, n, 1, EIO);
            unsigned failures = use_everything(&bench);
            failed = fault_reset() > 0;
            assert_in_range(failures, 0, call == FILE_FAULT_THREAD ? 7 : failed);
            assert_int_equal(use_everything(&bench), 0);
            bench_close(&bench);
            assert_true(n < 50);
        }
    }
}

static void job_without_a_worker_is_refused_and_the_next_is_not(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    AioThreadPool *pool = aio_get_thread_pool(ctx);
    PoolJob refused = {.ret = 1}, job = {.ret = 2};
    AioError *error = NULL;
    fault_reset();
    fault_arm(FILE_FAULT_THREAD, 1, 2, EAGAIN);
    for (int i = 0; i < 2; i++) {
        assert_null(aio_thread_pool_submit(pool, pool_work, &refused, pool_done, &refused, &error));
        assert_int_equal(aio_error_code(error), EAGAIN);
        assert_non_null(strstr(aio_error_message(error), "worker"));
        aio_error_free(error);
        error = NULL;
    }
    pool_submit(ctx, &job);
    pool_wait(ctx, &job);
    assert_int_equal(job.result, 2);
    assert_int_equal(refused.ran + refused.done, 0);
    fault_reset();
    fixture_context_free(ctx);
}

static void jobs_are_all_done_by_the_workers_that_start(void **state)
{
    (void)state;
    enum { JOBS = 16 };
    for (unsigned n = 2; n <= 6; n++) {
        PoolJob jobs[JOBS] = {{0}};
        AioContext *ctx = fixture_context();
        fault_reset();
        fault_arm(FILE_FAULT_THREAD, n, FAULT_ALWAYS, EAGAIN);
        for (int i = 0; i < JOBS; i++) {
            jobs[i].ret = i;
            pool_submit(ctx, &jobs[i]);
        }
        for (int i = 0; i < JOBS; i++) {
            pool_wait(ctx, &jobs[i]);
            assert_int_equal(jobs[i].result, i);
        }
        fault_reset();
        fixture_context_free(ctx);
    }
}

static void thread_that_does_not_start_leaves_nothing(void **state)
{
    (void)state;
    unsigned handles = fixture_open_handles();
    AioContextOptions options = {
        .size = sizeof(options), .poller = fixture_poller(), .name = "refused"};
    AioError *error = NULL;
    fault_reset();
    fault_arm(FILE_FAULT_THREAD, 1, 1, EAGAIN);
    assert_null(aio_thread_start(&options, &error));
    assert_int_equal(aio_error_code(error), EAGAIN);
    assert_non_null(strstr(aio_error_message(error), "refused"));
    aio_error_free(error);
    assert_true(fixture_handles_left(handles));
    AioThread *thread = aio_thread_start(&options, NULL);
    assert_non_null(thread);
    aio_thread_join(thread);
    fault_reset();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(refused_open_is_told_and_leaves_nothing),
    cmocka_unit_test(reads_get_over_interruptions_and_short_results),
    cmocka_unit_test(read_that_fails_halfway_is_an_error),
    cmocka_unit_test(refused_read_at_home_is_left_to_a_worker),
    cmocka_unit_test(writes_get_over_interruptions_and_short_results),
    cmocka_unit_test(write_that_fails_is_an_error),
    cmocka_unit_test(durable_write_is_followed_by_a_flush_where_the_system_has_none),
    cmocka_unit_test(failed_flush_is_told_and_not_repeated),
    cmocka_unit_test(discard_is_refused_where_the_system_cannot),
    cmocka_unit_test(zeroes_are_written_where_the_system_has_no_quick_way),
    cmocka_unit_test(zeroes_that_fail_are_an_error),
    cmocka_unit_test(extents_are_all_data_where_the_system_does_not_know),
    cmocka_unit_test(failure_of_any_call_fails_its_request_only),
    cmocka_unit_test(job_without_a_worker_is_refused_and_the_next_is_not),
    cmocka_unit_test(jobs_are_all_done_by_the_workers_that_start),
    cmocka_unit_test(thread_that_does_not_start_leaves_nothing),
};
TEST_MAIN(tests)
