/*
 * Bottom halves deleted: by whom, when, what is freed, and what the end of a context says of those left.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/bh_help.h"

static void deleted_bh_does_not_run_and_is_no_progress(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a;
    counter_init(&a, ctx);
    aio_bh_schedule(a.bh);
    counter_done(&a);
    assert_false(drive(ctx, false));
    assert_int_equal(a.runs, 0);
    fixture_context_free(ctx);
}

static void deletion_is_not_undone_by_cancel(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    AioBh *bh = aio_bh_new(ctx, count, NULL);
    aio_bh_delete(bh);
    aio_bh_cancel(bh); /* not freed yet: nothing ran */
    assert_false(drive(ctx, false));
    fixture_context_free(ctx); /* a leak would be named */
}

static void bh_deletes_itself_after_it_was_rescheduled(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a;
    counter_init(&a, ctx);
    a.reschedule = 1;
    a.delete = a.bh;
    aio_bh_schedule(a.bh);
    assert_true(drive(ctx, true));
    assert_int_equal(a.runs, 1);
    assert_false(drive(ctx, false));
    assert_int_equal(a.runs, 1);
    fixture_context_free(ctx);
}

static void deletion_wakes_a_host_for_one_iteration(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a;
    counter_init(&a, ctx);
    a.delete = a.bh;
    aio_bh_schedule(a.bh);
    assert_true(aio_prepare(ctx));
    aio_dispatch(ctx);
    assert_int_equal(a.runs, 1);
    assert_true(aio_prepare(ctx));
    aio_dispatch(ctx);
    assert_false(aio_prepare(ctx));
    assert_false(aio_pending(ctx));
    aio_dispatch(ctx);
    fixture_context_free(ctx);
}

static void bh_deleted_by_one_before_it_does_not_run(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a, b;
    counter_init(&a, ctx);
    counter_init(&b, ctx);
    a.delete = b.bh;
    aio_bh_schedule(a.bh);
    aio_bh_schedule(b.bh);
    assert_true(drive(ctx, true));
    assert_int_equal(a.runs, 1);
    assert_int_equal(b.runs, 0);
    counter_done(&a);
    fixture_context_free(ctx);
}

static void deletes_are_many_and_in_any_order(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter c[4];
    for (int i = 0; i < 4; i++) {
        counter_init(&c[i], ctx);
        aio_bh_schedule(c[i].bh);
    }
    c[1].delete = c[1].bh;
    c[2].delete = c[3].bh;
    c[3].bh = NULL;
    assert_true(drive(ctx, true));
    assert_int_equal(c[0].runs + c[1].runs + c[2].runs, 3);
    assert_int_equal(c[3].runs, 0);
    assert_false(drive(ctx, false));
    counter_done(&c[0]);
    counter_done(&c[2]);
    fixture_context_free(ctx);
}

static void oneshot_runs_once_and_frees_itself(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a = {.ctx = ctx};
    aio_bh_schedule_oneshot(ctx, count, &a);
    assert_true(aio_bh_oneshot(ctx, count, &a, "named", NULL));
    assert_true(drive(ctx, true));
    assert_int_equal(a.runs, 2);
    assert_false(drive(ctx, false));
    fixture_context_free(ctx);
}

static void leak_a_bh(void *opaque)
{
    (void)opaque;
    AioContext *ctx = fixture_context();
    aio_bh_new_full(ctx, count, NULL, "forgotten", NULL, NULL);
    aio_context_unref(ctx);
}

static void leak_a_pending_bh(void *opaque)
{
    (void)opaque;
    AioContext *ctx = fixture_context();
    aio_bh_oneshot(ctx, count, NULL, "pending", NULL);
    aio_context_unref(ctx);
}

static void leaked_bh_is_named_at_the_end(void **state)
{
    (void)state;
    assert_true(fixture_dies(leak_a_bh, NULL, "forgotten"));
    assert_true(fixture_dies(leak_a_pending_bh, NULL, "pending"));
}

static void deleted_bh_is_freed_with_the_context(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    aio_bh_delete(aio_bh_new(ctx, count, NULL));
    aio_context_unref(ctx); /* LeakSanitizer looks */
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(deleted_bh_does_not_run_and_is_no_progress),
    cmocka_unit_test(deletion_is_not_undone_by_cancel),
    cmocka_unit_test(bh_deletes_itself_after_it_was_rescheduled),
    cmocka_unit_test(deletion_wakes_a_host_for_one_iteration),
    cmocka_unit_test(bh_deleted_by_one_before_it_does_not_run),
    cmocka_unit_test(deletes_are_many_and_in_any_order),
    cmocka_unit_test(oneshot_runs_once_and_frees_itself),
    cmocka_unit_test(leaked_bh_is_named_at_the_end),
    cmocka_unit_test(deleted_bh_is_freed_with_the_context),
};
TEST_MAIN(tests)
