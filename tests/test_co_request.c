/*
 * Requests from coroutines: pool work and file I/O that yield, and where the coroutine goes on.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "tests/fixture_file.h"

#define RW (AIO_FILE_READ | AIO_FILE_WRITE)

static _Thread_local int here; /* its address names the thread */

static void run_co(AioContext *ctx, AioCoroutineFunc *entry, void *opaque)
{
    AioCoroutine *co = aio_co_create(entry, opaque);
    assert_non_null(co);
    aio_co_enter(ctx, co);
}

typedef struct Work {
    int ret;
    int *worker;
    int *before, *after; /* threads of the coroutine around the work */
    AioContext *context; /* after it */
    int result;
    int *left;
} Work;

static int work(void *opaque)
{
    Work *w = opaque;
    w->worker = &here;
    return w->ret;
}

/* A thread-local is not to be kept over a yield. */
static __attribute__((noinline)) int *thread_now(void)
{
    return &here;
}

static void pool_co(void *opaque)
{
    Work *w = opaque;
    w->before = thread_now();
    w->result = aio_thread_pool_submit_co(aio_get_thread_pool(aio_context_current()), work, w);
    w->after = thread_now();
    w->context = aio_context_current();
    --*w->left;
}

static void coroutine_yields_while_a_worker_works(AioContext *ctx)
{
    int left = 1;
    Work w = {.ret = -123, .left = &left};
    run_co(ctx, pool_co, &w);
    assert_int_equal(left, 1);
    while (left) {
        drive(ctx, true);
    }
    assert_int_equal(w.result, -123);
    assert_ptr_not_equal(w.worker, &here);
    assert_ptr_equal(w.before, &here);
    assert_ptr_equal(w.after, &here);
    assert_ptr_equal(w.context, ctx);
}

static void many_coroutines_wait_for_workers_at_once(AioContext *ctx)
{
    enum { N = 500 };
    static Work w[N];
    int left = N;
    for (int i = 0; i < N; i++) {
        w[i] = (Work){.ret = i, .left = &left};
        run_co(ctx, pool_co, &w[i]);
    }
    while (left) {
        drive(ctx, true);
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(w[i].result, i);
    }
}

/* One coroutine that does all that a file can do. */
typedef struct FileWork {
    AioFile *file;
    int64_t results[12];
    char in[32];
    bool done;
} FileWork;

static void file_co(void *opaque)
{
    FileWork *w = opaque;
    int64_t *r = w->results;
    char text[] = "from a coroutine";
    AioIoVec out[2] = {{text, 5}, {text + 5, 11}};
    AioIoVec in = {w->in, sizeof(w->in)};
    *r++ = aio_file_co_pwritev(w->file, out, 2, 100, 0);
    *r++ = aio_file_co_pwritev(w->file, out, 1, 200, AIO_FILE_FUA);
    *r++ = aio_file_co_fsync(w->file);
    *r++ = aio_file_co_fdatasync(w->file);
    *r++ = aio_file_co_write_zeroes(w->file, 104, 1, 0);
    *r++ = aio_file_co_discard(w->file, 5000, 1000);
    *r++ = aio_file_co_preadv(w->file, &in, 1, 100);
    *r++ = aio_file_co_preadv(w->file, &in, 1, 1000);
    *r++ = aio_file_co_preadv(w->file, &in, 1, -1);
    *r++ = aio_file_co_pwritev(w->file, out, -1, 0, 0);
    *r++ = aio_file_co_write_zeroes(w->file, 0, 1, 0x80);
    *r++ = aio_file_co_discard(w->file, 0, -1);
    w->done = true;
}

static void every_file_request_has_a_form_that_yields(AioContext *ctx)
{
    FixtureFile name = fixture_file(0);
    FileWork w = {.file = aio_file_open(ctx, name.path, RW, NULL)};
    assert_non_null(w.file);
    run_co(ctx, file_co, &w);
    while (!w.done) {
        drive(ctx, true);
    }
    static const int64_t expected[12] = {16, 5, 0,       0,       0,       0,
                                         32, 0, -EINVAL, -EINVAL, -EINVAL, -EINVAL};
    for (int i = 0; i < 12; i++) {
        if (i != 5 || w.results[i] != -ENOTSUP) {
            assert_int_equal(w.results[i], expected[i]);
        }
    }
    assert_memory_equal(w.in, "from\0a coroutine", 16);
    aio_file_close(w.file);
    fixture_file_remove(&name);
}

static void read_only_co(void *opaque)
{
    FileWork *w = opaque;
    AioIoVec out = {w->in, 1};
    w->results[0] = aio_file_co_pwritev(w->file, &out, 1, 0, 0);
    w->done = true;
}

static void refused_request_is_the_result_without_a_yield(AioContext *ctx)
{
    FixtureFile name = fixture_file(0);
    FileWork w = {.file = aio_file_open(ctx, name.path, AIO_FILE_READ, NULL)};
    assert_non_null(w.file);
    run_co(ctx, read_only_co, &w);
    assert_true(w.done);
    assert_int_equal(w.results[0], -EBADF);
    aio_file_close(w.file);
    fixture_file_remove(&name);
}

/* A coroutine that moves between two contexts in two threads and works in each. */
typedef struct Traveller {
    AioContext *contexts[2];
    int rounds;
    int wrong;
    atomic_bool done;
} Traveller;

static void travel(void *opaque)
{
    Traveller *t = opaque;
    int left = 0;
    for (int i = 0; i < t->rounds; i++) {
        AioContext *ctx = t->contexts[i % 2];
        Work w = {.ret = i, .left = &left};
        aio_co_reschedule_self(ctx);
        int *thread = thread_now();
        w.result = aio_thread_pool_submit_co(aio_get_thread_pool(ctx), work, &w);
        t->wrong += w.result != i || thread_now() != thread || aio_context_current() != ctx;
    }
    aio_co_reschedule_self(t->contexts[0]);
    atomic_store(&t->done, true);
}

static void stop(void *opaque)
{
    aio_context_stop(opaque);
}

static void run_context(void *opaque)
{
    aio_context_bind(opaque);
    aio_context_run(opaque);
    aio_context_unbind(opaque);
}

static void coroutine_goes_on_in_the_context_that_it_moved_to(void **state)
{
    (void)state;
    Traveller t = {.contexts = {fixture_context(), fixture_context()}, .rounds = 300};
    atomic_init(&t.done, false);
    FixtureThread *other = fixture_thread_start(run_context, t.contexts[1]);
    aio_context_bind(t.contexts[0]);
    run_co(t.contexts[0], travel, &t);
    while (!atomic_load(&t.done)) {
        drive(t.contexts[0], true);
    }
    aio_bh_schedule_oneshot(t.contexts[1], stop, t.contexts[1]);
    fixture_thread_join(other);
    assert_int_equal(t.wrong, 0);
    fixture_context_free(t.contexts[0]);
    fixture_context_free(t.contexts[1]);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(coroutine_yields_while_a_worker_works),
    cmocka_unit_test_home(many_coroutines_wait_for_workers_at_once),
    cmocka_unit_test_home(every_file_request_has_a_form_that_yields),
    cmocka_unit_test_home(refused_request_is_the_result_without_a_yield),
    cmocka_unit_test(coroutine_goes_on_in_the_context_that_it_moved_to),
};
TEST_MAIN(tests)
