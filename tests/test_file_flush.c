/*
 * Engines that gather what they are given, and sections of deferred calls: what waits flushes first, and nothing is
 * flushed that has ended.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fake_engine.h"
#include "tests/fixture_file.h"

/* A context with a gathering engine, a file and a read of one byte. */
typedef struct Bench {
    AioContext *ctx;
    FakePlan plan;
    FixtureFile name;
    AioFile *file;
    AioTimer timer; /* so that a test which sleeps on what was not submitted fails */
    bool late;
    char byte;
    int done;
    int64_t ret;
} Bench;

static void too_late(void *opaque)
{
    ((Bench *)opaque)->late = true;
}

static void read_done(void *opaque, int64_t ret)
{
    Bench *bench = opaque;
    bench->done++;
    bench->ret = ret;
}

static void bench_open_flags(Bench *bench, unsigned flags)
{
    *bench = (Bench){.plan = {.gather = true}};
    bench->ctx = fixture_context_flags(flags);
    if (flags & AIO_CONTEXT_SHARED) {
        aio_context_acquire(bench->ctx);
    }
    fake_engine_plan(&bench->plan);
    assert_int_equal(aio__file_engine_use(bench->ctx, &fake_engine), 0);
    bench->name = fixture_file(10);
    bench->file = aio_file_open(bench->ctx, bench->name.path, AIO_FILE_READ, NULL);
    assert_non_null(bench->file);
    aio_timer_init(bench->ctx, &bench->timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS, too_late, bench);
    aio_timer_mod_ns(&bench->timer, aio_clock_get_ns(AIO_CLOCK_REALTIME) + 10000000000);
}

static void bench_open(Bench *bench)
{
    bench_open_flags(bench, 0);
}

static AioRequest *bench_read(Bench *bench)
{
    AioIoVec piece = {.base = &bench->byte, .len = 1};
    AioRequest *request = aio_file_preadv(bench->file, &piece, 1, 0, read_done, bench, NULL);
    assert_non_null(request);
    return request;
}

/* All but the context. */
static void bench_close(Bench *bench)
{
    aio_file_close(bench->file);
    aio_timer_del(&bench->timer);
    fixture_file_remove(&bench->name);
}

static void blocking_poll_in_a_section_flushes_before_it_sleeps(void **state)
{
    (void)state;
    Bench bench;
    bench_open(&bench);
    aio_defer_begin();
    bench_read(&bench);
    assert_int_equal(bench.plan.flushes, 0);
    while (!bench.done && !bench.late) {
        drive(bench.ctx, true);
    }
    assert_false(bench.late);
    assert_int_equal(bench.ret, 1);
    assert_int_equal(bench.plan.flushes, 1);
    aio_defer_end();
    assert_int_equal(bench.plan.flushes, 1); /* nothing was left to flush */
    bench_close(&bench);
    fixture_context_free(bench.ctx);
}

static void non_blocking_polls_in_a_section_make_progress(void **state)
{
    (void)state;
    Bench bench;
    bench_open(&bench);
    aio_defer_begin();
    bench_read(&bench);
    while (!bench.done && !bench.late) {
        drive(bench.ctx, false);
    }
    assert_false(bench.late);
    aio_defer_end();
    bench_close(&bench);
    fixture_context_free(bench.ctx);
}

static void host_prepares_with_a_flush(void **state)
{
    (void)state;
    Bench bench;
    bench_open(&bench);
    aio_defer_begin();
    bench_read(&bench);
    assert_true(aio_prepare(bench.ctx)); /* the fake engine is at work at once */
    assert_int_equal(bench.plan.flushes, 1);
    aio_dispatch(bench.ctx);
    assert_int_equal(bench.done, 1);
    aio_defer_end();
    assert_int_equal(bench.plan.flushes, 1);
    bench_close(&bench);
    fixture_context_free(bench.ctx);
}

static void submits_between_polls_in_one_section_are_all_flushed(void **state)
{
    (void)state;
    Bench bench;
    bench_open(&bench);
    aio_defer_begin();
    for (int i = 1; i <= 3; i++) {
        bench_read(&bench);
        bench_read(&bench);
        while (bench.done < 2 * i && !bench.late) {
            drive(bench.ctx, true);
        }
        assert_int_equal(bench.plan.flushes, (unsigned)i);
    }
    bench_read(&bench);
    aio_defer_end();
    assert_int_equal(bench.plan.flushes, 4);
    bench_close(&bench);
    assert_int_equal(bench.done, 7);
    assert_false(bench.late);
    fixture_context_free(bench.ctx);
}

static void waits_in_a_section_flush(void **state)
{
    (void)state;
    Bench bench;
    bench_open(&bench);
    aio_defer_begin();
    aio_request_cancel(bench_read(&bench));
    assert_int_equal(bench.done, 1);
    bench_read(&bench);
    aio_quiesce_begin(bench.ctx);
    assert_int_equal(bench.done, 2);
    aio_quiesce_end(bench.ctx);
    bench_read(&bench);
    bench_close(&bench); /* drains */
    assert_int_equal(bench.done, 3);
    aio_defer_end();
    assert_false(bench.late);
    fixture_context_free(bench.ctx);
}

static void context_may_go_inside_the_section(void **state)
{
    (void)state;
    for (int polled = 0; polled < 2; polled++) {
        Bench bench;
        bench_open(&bench);
        aio_defer_begin();
        bench_read(&bench);
        if (polled) {
            drive(bench.ctx, false);
        }
        bench_close(&bench);
        aio_context_unref(bench.ctx);
        assert_int_equal(bench.done, 1);
        aio_defer_end();
        assert_int_equal(bench.plan.flushes, 1);
    }
}

static void unref(void *opaque)
{
    aio_context_unref(opaque);
}

static void another_thread_may_drop_the_context_inside_the_section(void **state)
{
    (void)state;
    Bench bench;
    bench_open(&bench);
    aio_defer_begin();
    bench_read(&bench);
    bench_close(&bench);
    fixture_thread_join(fixture_thread_start(unref, bench.ctx));
    aio_defer_end();
    assert_int_equal(bench.plan.flushes, 1);
}

static void finish_elsewhere(void *opaque)
{
    Bench *bench = opaque;
    aio_context_bind(bench->ctx);
    while (!bench->done && !bench->late) {
        drive(bench->ctx, true);
    }
    bench_close(bench);
    fixture_context_free(bench->ctx);
}

/* The new home may end the context while the section of the old one goes on. */
static void context_may_be_handed_over_inside_the_section(void **state)
{
    (void)state;
    Bench bench;
    bench_open(&bench);
    aio_defer_begin();
    bench_read(&bench);
    aio_context_unbind(bench.ctx);
    fixture_thread_join(fixture_thread_start(finish_elsewhere, &bench));
    aio_defer_end();
    assert_int_equal(bench.done, 1);
    assert_false(bench.late);
    assert_int_equal(bench.plan.flushes, 1);
}

/* Whoever holds the lock now may not at the end of the section. */
static void shared_context_flushes_at_once(void **state)
{
    (void)state;
    Bench bench;
    bench_open_flags(&bench, AIO_CONTEXT_SHARED);
    aio_defer_begin();
    bench_read(&bench);
    assert_int_equal(bench.plan.flushes, 1);
    bench_close(&bench);
    aio_context_release(bench.ctx);
    aio_context_unref(bench.ctx);
    aio_defer_end();
    assert_int_equal(bench.plan.flushes, 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(blocking_poll_in_a_section_flushes_before_it_sleeps),
    cmocka_unit_test(non_blocking_polls_in_a_section_make_progress),
    cmocka_unit_test(host_prepares_with_a_flush),
    cmocka_unit_test(submits_between_polls_in_one_section_are_all_flushed),
    cmocka_unit_test(waits_in_a_section_flush),
    cmocka_unit_test(context_may_go_inside_the_section),
    cmocka_unit_test(another_thread_may_drop_the_context_inside_the_section),
    cmocka_unit_test(context_may_be_handed_over_inside_the_section),
    cmocka_unit_test(shared_context_flushes_at_once),
};
TEST_MAIN(tests)
