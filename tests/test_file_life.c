/*
 * The life of files and their requests: closing, cancelling, nested polls, slow neighbours.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "tests/file_help.h"

static void close_waits_for_requests_and_takes_no_more(AioContext *ctx)
{
    enum { N = 50, LEN = 100000 };
    static char buffers[N][LEN];
    FileDone d[N] = {{0}};
    FixtureFile name = fixture_file(0);
    AioFile *file = file_open_ok(ctx, name.path, RW);
    for (int i = 0; i < N; i++) {
        AioIoVec piece = {.base = buffers[i], .len = LEN};
        d[i].read = i % 10 == 0 ? file : NULL;
        assert_non_null(aio_file_pwritev(file, &piece, 1, i * LEN, 0, file_done, &d[i], NULL));
    }
    aio_file_close(file);
    for (int i = 0; i < N; i++) {
        assert_int_equal(d[i].calls, 1);
        assert_int_equal(d[i].ret, d[i].read ? EBADF : LEN);
    }
    fixture_file_remove(&name);
}

static void file_may_be_closed_in_a_callback_of_its_own(AioContext *ctx)
{
    char byte;
    AioIoVec one = {.base = &byte, .len = 1};
    FixtureFile name = fixture_file(10);
    AioFile *file = file_open_ok(ctx, name.path, AIO_FILE_READ);
    FileDone first = {.close = file}, second = {.calls = 0};
    assert_non_null(aio_file_preadv(file, &one, 1, 0, file_done, &first, NULL));
    assert_non_null(aio_file_preadv(file, &one, 1, 1, file_done, &second, NULL));
    while (!first.calls || !second.calls) {
        drive(ctx, true);
    }
    fixture_file_remove(&name);
}

static void context_lives_as_long_as_its_files(void **state)
{
    (void)state;
    char byte;
    AioContext *ctx = fixture_context();
    FixtureFile name = fixture_file(10);
    AioFile *file = file_open_ok(ctx, name.path, AIO_FILE_READ);
    aio_context_unref(ctx);
    assert_int_equal(file_read(ctx, file, &byte, 1, 0), 1);
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
    AioFile *file = file_open_ok(ctx, name.path, AIO_FILE_READ);
    FileDone d[4] = {{0}};
    for (int i = 0; i < 4; i++) {
        AioIoVec one = {.base = &bytes[i], .len = 1};
        d[i].ctx = ctx;
        d[i].wait_for = i < 3 ? &d[i + 1] : NULL;
        assert_non_null(aio_file_preadv(file, &one, 1, i, file_done, &d[i], NULL));
    }
    while (!d[0].calls) {
        drive(ctx, true);
    }
    assert_int_equal(d[3].calls, 1);
    aio_file_close(file);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void cancelled_requests_complete_once_in_either_way(AioContext *ctx)
{
    enum { N = 300, LEN = 20000 };
    static char buffers[N][LEN];
    static FileDone d[N];
    int left = N;
    FixtureFile name = fixture_file(0);
    AioFile *file = file_open_ok(ctx, name.path, RW);
    memset(d, 0, sizeof(d));
    for (int i = 0; i < N; i++) {
        AioIoVec piece = {.base = buffers[i], .len = LEN};
        d[i].left = &left;
        d[i].submitting = true;
        AioRequest *request =
            i % 2 ? aio_file_pwritev(file, &piece, 1, i * LEN, 0, file_done, &d[i], NULL)
                  : aio_file_fsync(file, file_done, &d[i], NULL);
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
}

static void cancel_stops_what_takes_many_attempts(void **state)
{
    (void)state;
    const char *device = fixture_null_device();
    if (!device) {
        fixture_skip("no device takes all data as a file does, and keeps none");
    }
    AioContext *ctx = fixture_context();
    AioFile *file = file_open_ok(ctx, device, AIO_FILE_WRITE);
    for (int ms = 0; ms < 4; ms++) {
        FileDone d = {.calls = 0};
        AioRequest *request =
            aio_file_write_zeroes(file, 0, INT64_MAX / 2, 0, file_done, &d, NULL); /* takes weeks */
        assert_non_null(request);
        fixture_sleep_ms((unsigned)ms);
        aio_request_cancel(request);
        assert_int_equal(d.calls, 1);
        assert_int_equal(d.ret, -ECANCELED);
    }
    aio_file_close(file);
    fixture_context_free(ctx);
}

static int wait_for_gate(void *opaque)
{
    while (!atomic_load((atomic_int *)opaque)) {
        fixture_sleep_ms(1);
    }
    return 0;
}

static void slow_jobs_do_not_hold_up_files(AioContext *ctx)
{
    AioThreadPool *pool = aio_get_thread_pool(ctx);
    FixtureFile name = fixture_file(10);
    AioFile *file = file_open_ok(ctx, name.path, RW);
    atomic_int gate = 0;
    FileDone jobs = {.calls = 0};
    assert_true(aio_thread_pool_set_bounds(pool, 0, 2, NULL));
    for (int i = 0; i < 10; i++) {
        assert_non_null(aio_thread_pool_submit(pool, wait_for_gate, &gate, file_done, &jobs, NULL));
    }
    assert_int_equal(file_write(ctx, file, "x", 1, 0, 0), 1);
    assert_int_equal(jobs.calls, 0);
    atomic_store(&gate, 1);
    while (jobs.calls < 10) {
        drive(ctx, true);
    }
    aio_file_close(file);
    fixture_file_remove(&name);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(close_waits_for_requests_and_takes_no_more),
    cmocka_unit_test_home(file_may_be_closed_in_a_callback_of_its_own),
    cmocka_unit_test(context_lives_as_long_as_its_files),
    cmocka_unit_test(callback_may_wait_for_a_read_that_finished_with_its_own),
    cmocka_unit_test_home(cancelled_requests_complete_once_in_either_way),
    cmocka_unit_test(cancel_stops_what_takes_many_attempts),
    cmocka_unit_test_home(slow_jobs_do_not_hold_up_files),
};
TEST_MAIN(tests)
