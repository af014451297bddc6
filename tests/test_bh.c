/*
 * Bottom halves in the thread of their loop: order, snapshots, cancelling, idle ones, nesting, guards.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/bh_help.h"

static void new_bh_does_not_run(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a;
    counter_init(&a, ctx);
    assert_false(drive(ctx, false));
    assert_int_equal(a.runs, 0);
    counter_done(&a);
    fixture_context_free(ctx);
}

static void schedules_before_the_run_are_one_run(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a;
    counter_init(&a, ctx);
    for (int i = 0; i < 3; i++) {
        aio_bh_schedule(a.bh);
    }
    assert_true(drive(ctx, true));
    assert_int_equal(a.runs, 1);
    assert_false(drive(ctx, false));
    assert_int_equal(a.runs, 1);
    counter_done(&a);
    fixture_context_free(ctx);
}

static void bh_scheduled_by_itself_runs_once_an_iteration(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a;
    counter_init(&a, ctx);
    a.reschedule = 3;
    aio_bh_schedule(a.bh);
    for (int i = 1; i <= 4; i++) {
        assert_true(drive(ctx, true));
        assert_int_equal(a.runs, i);
        assert_int_equal(aio_compute_timeout(ctx), i < 4 ? 0 : -1);
    }
    assert_false(drive(ctx, false));
    counter_done(&a);
    fixture_context_free(ctx);
}

static void bh_scheduled_by_another_runs_in_the_next_iteration(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a, b;
    counter_init(&a, ctx);
    counter_init(&b, ctx);
    a.schedule = b.bh;
    aio_bh_schedule(a.bh);
    assert_true(drive(ctx, false));
    assert_int_equal(b.runs, 0);
    assert_true(drive(ctx, false));
    assert_int_equal(b.runs, 1);
    counter_done(&a);
    counter_done(&b);
    fixture_context_free(ctx);
}

typedef struct Order {
    int *log;
    int *used;
    int id;
} Order;

static void log_id(void *opaque)
{
    Order *order = opaque;
    order->log[(*order->used)++] = order->id;
}

static void bhs_run_in_the_order_scheduled(void **state)
{
    (void)state;
    enum { N = 100 };
    AioContext *ctx = fixture_context();
    int log[N], used = 0;
    Order orders[N];
    AioBh *bhs[N];
    for (int i = 0; i < N; i++) {
        orders[i] = (Order){.log = log, .used = &used, .id = i};
        bhs[i] = aio_bh_new(ctx, log_id, &orders[i]);
    }
    for (int i = 0; i < N; i++) {
        aio_bh_schedule(bhs[(i * 37) % N]);
    }
    assert_true(drive(ctx, false));
    assert_int_equal(used, N);
    for (int i = 0; i < N; i++) {
        assert_int_equal(log[i], (i * 37) % N);
        aio_bh_delete(bhs[i]);
    }
    fixture_context_free(ctx);
}

static void cancelled_bh_does_not_run_until_scheduled_again(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a;
    counter_init(&a, ctx);
    aio_bh_schedule(a.bh);
    aio_bh_cancel(a.bh);
    assert_false(drive(ctx, false));
    assert_int_equal(a.runs, 0);
    aio_bh_schedule(a.bh);
    aio_bh_cancel(a.bh);
    aio_bh_schedule(a.bh);
    assert_true(drive(ctx, false));
    assert_int_equal(a.runs, 1);
    counter_done(&a);
    fixture_context_free(ctx);
}

static void call_runs_it_and_changes_no_state(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a;
    counter_init(&a, ctx);
    aio_bh_call(a.bh);
    assert_int_equal(a.runs, 1);
    assert_false(drive(ctx, false));
    aio_bh_schedule(a.bh);
    a.delete = a.bh; /* the callback may delete it */
    AioBh *bh = a.bh;
    aio_bh_call(bh);
    assert_int_equal(a.runs, 2);
    assert_false(drive(ctx, false));
    assert_int_equal(a.runs, 2);
    fixture_context_free(ctx);
}

static void bh_poll_returns_whether_one_ran(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a;
    counter_init(&a, ctx);
    aio_context_bind(ctx);
    assert_int_equal(aio_bh_poll(ctx), 0);
    aio_bh_schedule(a.bh);
    assert_int_equal(aio_bh_poll(ctx), 1);
    assert_int_equal(aio_bh_poll(ctx), 0);
    counter_done(&a);
    fixture_context_free(ctx);
}

static void nested_poll_runs_the_rest_of_the_slice(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a, b, c;
    counter_init(&a, ctx);
    counter_init(&b, ctx);
    counter_init(&c, ctx);
    a.nested = true;
    a.schedule = c.bh;
    aio_bh_schedule(a.bh);
    aio_bh_schedule(b.bh);
    c.look_at = &b;
    assert_true(drive(ctx, true));
    assert_int_equal(b.runs, 1);
    assert_int_equal(c.runs, 1);
    assert_int_equal(c.seen, 1); /* the outer slice first */
    assert_false(drive(ctx, false));
    assert_int_equal(a.runs + b.runs + c.runs, 3);
    counter_done(&a);
    counter_done(&b);
    counter_done(&c);
    fixture_context_free(ctx);
}

static void idle_bh_runs_without_progress_and_without_spinning(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a;
    counter_init(&a, ctx);
    aio_context_bind(ctx);
    aio_bh_schedule_idle(a.bh);
    assert_int_equal(aio_compute_timeout(ctx), 10000000);
    int64_t start = fixture_now_ns();
    assert_false(drive(ctx, true));
    assert_int_equal(a.runs, 1);
    assert_true(fixture_now_ns() - start >= 10000000);
    assert_int_equal(aio_compute_timeout(ctx), -1);
    counter_done(&a);
    fixture_context_free(ctx);
}

static void again_idle(void *opaque)
{
    Counter *counter = opaque;
    counter->runs++;
    aio_bh_schedule_idle(counter->bh);
}

static void idle_bh_that_reschedules_itself_costs_no_cpu(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a = {.ctx = ctx};
    a.bh = aio_bh_new(ctx, again_idle, &a);
    aio_context_bind(ctx);
    aio_bh_schedule_idle(a.bh);
    int64_t start = fixture_now_ns(), cpu = fixture_cpu_ns();
    while (fixture_now_ns() - start < 300000000) {
        assert_false(drive(ctx, true));
    }
    assert_in_range(a.runs, 1, 31);
    assert_true(fixture_cpu_ns() - cpu < 150000000);
    counter_done(&a);
    fixture_context_free(ctx);
}

static void normal_schedule_upgrades_an_idle_one(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counter a;
    counter_init(&a, ctx);
    aio_context_bind(ctx);
    aio_bh_schedule_idle(a.bh);
    aio_bh_schedule(a.bh);
    assert_int_equal(aio_compute_timeout(ctx), 0);
    assert_true(drive(ctx, true));
    assert_int_equal(a.runs, 1);
    assert_int_equal(aio_compute_timeout(ctx), -1);
    counter_done(&a);
    fixture_context_free(ctx);
}

static void engaged_guard_keeps_a_bh_from_running_and_reports_it(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    AioBhGuard guard = {.engaged = false};
    Counter a = {.ctx = ctx, .nested = true}, b = {.ctx = ctx};
    a.bh = aio_bh_new_full(ctx, count, &a, "dma", &guard, NULL);
    b.bh = aio_bh_new_full(ctx, count, &b, "mmio", &guard, NULL);
    aio_bh_schedule(a.bh);
    aio_bh_schedule(b.bh);
    assert_true(drive(ctx, false));
    assert_int_equal(a.runs, 1);
    assert_int_equal(b.runs, 0);
    AioError *error = aio_context_take_error(ctx);
    assert_non_null(error);
    assert_non_null(strstr(aio_error_message(error), "mmio"));
    aio_error_free(error);
    aio_bh_schedule(b.bh);
    assert_true(drive(ctx, false));
    assert_int_equal(b.runs, 1);
    counter_done(&a);
    counter_done(&b);
    fixture_context_free(ctx);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(new_bh_does_not_run),
    cmocka_unit_test(schedules_before_the_run_are_one_run),
    cmocka_unit_test(bh_scheduled_by_itself_runs_once_an_iteration),
    cmocka_unit_test(bh_scheduled_by_another_runs_in_the_next_iteration),
    cmocka_unit_test(bhs_run_in_the_order_scheduled),
    cmocka_unit_test(cancelled_bh_does_not_run_until_scheduled_again),
    cmocka_unit_test(call_runs_it_and_changes_no_state),
    cmocka_unit_test(bh_poll_returns_whether_one_ran),
    cmocka_unit_test(nested_poll_runs_the_rest_of_the_slice),
    cmocka_unit_test(idle_bh_runs_without_progress_and_without_spinning),
    cmocka_unit_test(idle_bh_that_reschedules_itself_costs_no_cpu),
    cmocka_unit_test(normal_schedule_upgrades_an_idle_one),
    cmocka_unit_test(engaged_guard_keeps_a_bh_from_running_and_reports_it),
};
TEST_MAIN(tests)
