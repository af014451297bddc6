/*
 * Adaptive busy-polling: when it happens, and its brackets.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/busy_source.h"

static void no_window_no_look(AioContext *ctx)
{
    Source source;
    source_init(&source, ctx);
    fixture_write(source.pair.b, "?", 1);
    assert_true(aio_poll(ctx, true));
    assert_string_equal(source.log, "r");
    assert_int_equal(counters_of(ctx).busy_polls, 0);
    source_done(&source);
}

static void work_found_by_looking_costs_no_system_call(AioContext *ctx)
{
    Source source;
    source_init(&source, ctx);
    fix_window(ctx, 10 * SECOND);
    source.find_at = 5;
    for (int i = 0; i < 63; i++) {
        assert_true(aio_poll(ctx, true));
    }
    assert_string_equal(source.log + strlen(source.log) - 4, "p!p!");
    assert_int_equal(source.log[0], 'b');
    assert_null(strchr(source.log + 1, 'b')); /* once: polling goes on from one to the next */
    assert_null(strchr(source.log, 'e'));
    assert_int_equal(source.ready_calls, 63);
    AioContextCounters counters = counters_of(ctx);
    assert_int_equal(counters.waits, 0);
    assert_int_equal(counters.notifier_writes, 0);
    assert_int_equal(counters.busy_polls, 63);
    assert_int_equal(counters.handler_calls, 63);
    source_done(&source);
}

static bool poll_and_do(void *opaque)
{
    int *left = opaque;
    return --*left == 0;
}

static void poll_callback_may_do_the_work_itself(AioContext *ctx)
{
    FixturePair pair = fixture_pair();
    int left = 3;
    aio_set_fd_handler(ctx, (int)pair.a, false, NULL, NULL, poll_and_do, &left);
    fix_window(ctx, 10 * SECOND);
    assert_true(aio_poll(ctx, true));
    assert_int_equal(left, 0);
    assert_int_equal(counters_of(ctx).waits, 0);
    assert_int_equal(counters_of(ctx).handler_calls, 1);
    aio_set_fd_handler(ctx, (int)pair.a, false, NULL, NULL, NULL, NULL);
    fixture_pair_close(&pair);
}

static void one_handler_that_cannot_be_looked_at_turns_it_off(void **state)
{
    (void)state;
    for (int external = 0; external < 2; external++) {
        AioContext *ctx = fixture_context();
        Source source, deaf;
        source_init(&source, ctx);
        fix_window(ctx, 10 * SECOND);
        deaf = (Source){.ctx = ctx, .pair = fixture_pair(), .external = external};
        const AioHandlerOps only_read = {.size = sizeof(only_read), .read = source_read};
        watch(&deaf, &only_read);
        if (external) {
            aio_disable_external(ctx); /* counts all the same */
        }
        fixture_write(source.pair.b, "?", 1);
        assert_true(aio_poll(ctx, true));
        assert_string_equal(source.log, "r");
        if (external) {
            aio_enable_external(ctx);
        }
        unwatch(&deaf);
        source.find_at = 1;
        assert_true(aio_poll(ctx, true));
        assert_string_equal(source.log, "rbp!");
        fixture_pair_close(&deaf.pair);
        source_done(&source);
        fixture_context_free(ctx);
    }
}

static void work_that_is_there_comes_before_looking(AioContext *ctx)
{
    Source source;
    int calls = 0;
    source_init(&source, ctx);
    fix_window(ctx, 10 * SECOND);
    aio_bh_schedule_oneshot(ctx, count, &calls);
    assert_true(aio_poll(ctx, true));
    assert_int_equal(calls, 1);
    assert_string_equal(source.log, "");
    assert_int_equal(counters_of(ctx).waits, 0);
    source_done(&source);
}

static void call_that_does_not_block_looks_once_and_asks_the_system(AioContext *ctx)
{
    Source source;
    source_init(&source, ctx);
    fixture_write(source.pair.b, "?", 1);
    assert_true(aio_poll(ctx, false)); /* all can be looked at, and there is no window: asked */
    assert_string_equal(source.log, "r");
    fix_window(ctx, 10 * SECOND);
    assert_false(aio_poll(ctx, false));
    assert_string_equal(source.log, "r"); /* the source tells of its events by itself */
    source.find_at = 1;
    source.find = 1;
    assert_true(aio_poll(ctx, true));
    assert_string_equal(source.log, "rbp!"); /* now it does not, perhaps */
    source.find = 1;
    uint64_t waits = counters_of(ctx).waits;
    assert_true(aio_poll(ctx, false));
    assert_string_equal(source.log, "rbp!p!");
    assert_int_equal(counters_of(ctx).waits, waits + 1);
    assert_false(aio_poll(ctx, false));
    source_done(&source);
}

static void own_wake_up_is_no_progress_and_no_obstacle(AioContext *ctx)
{
    Source source;
    source_init(&source, ctx);
    fix_window(ctx, 10 * SECOND);
    aio_notify(ctx);
    assert_false(aio_poll(ctx, true));
    source.find_at = 1;
    source.find = 1;
    assert_true(aio_poll(ctx, true));
    assert_string_equal(source.log, "bp!");
    aio_notify(ctx);
    assert_false(aio_poll(ctx, true));
    assert_string_equal(source.log, "bp!"); /* polling goes on after it */
    assert_int_equal(counters_of(ctx).waits, 0);
    source_done(&source);
}

/* Its brackets, before a sleep. */

static void write_to_itself(Source *source)
{
    if (strchr(source->log, 'e')) {
        fixture_write(source->pair.b, "?", 1);
        source->at_look = NULL;
    }
}

static void sources_tell_by_themselves_again_before_a_sleep(AioContext *ctx)
{
    Source source;
    source_init(&source, ctx);
    fix_window(ctx, 100000);
    source.at_look = write_to_itself; /* its event comes in the look after the end */
    assert_true(aio_poll(ctx, true));
    assert_string_equal(source.log, "bpepr");
    assert_int_equal(counters_of(ctx).sleeps, 1);
    fixture_write(source.pair.b, "?", 1);
    assert_true(aio_poll(ctx, true)); /* begun anew */
    assert_string_equal(source.log, "bpeprbpepr");
    source_done(&source);
}

static void find_after_the_end(Source *source)
{
    if (strchr(source->log, 'e')) {
        source->find_at = 1;
        source->at_look = NULL;
    }
}

static bool poll_after_the_end(void *opaque)
{
    Source *source = opaque;
    find_after_the_end(source);
    return source_poll(source);
}

static void work_found_after_the_end_cancels_the_sleep(AioContext *ctx)
{
    Source source;
    source_init(&source, ctx);
    AioHandlerOps ops = source_ops;
    ops.poll = poll_after_the_end;
    watch(&source, &ops);
    fix_window(ctx, 100000);
    assert_true(aio_poll(ctx, true));
    assert_string_equal(source.log, "bpep!");
    assert_int_equal(counters_of(ctx).sleeps, 0);
    source_done(&source);
}

static void remove_in_look(Source *source)
{
    if (source->looks == 2) {
        unwatch(source);
    }
}

static void source_removed_while_it_is_polled_gets_no_end(AioContext *ctx)
{
    Source source;
    AioTimer timer;
    int calls = 0;
    source_init(&source, ctx);
    fix_window(ctx, SECOND);
    source.at_look = remove_in_look;
    aio_timer_init(ctx, &timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS, count, &calls);
    aio_timer_mod(&timer, aio_clock_get_ns(AIO_CLOCK_REALTIME) + 50000000);
    assert_true(aio_poll(ctx, true));
    assert_string_equal(source.log, "bp");
    assert_int_equal(source.looks, 2);
    source.at_look = NULL;
    watch(&source, &source_ops); /* again: it is begun by itself */
    source.find_at = 3;
    assert_true(aio_poll(ctx, true));
    assert_string_equal(source.log, "bpbp!");
    source_done(&source);
}

static void disabled_source_is_neither_begun_nor_looked_at(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Source source, other;
    source_init(&other, ctx);
    source = (Source){.ctx = ctx, .pair = fixture_pair(), .external = true, .find = -1};
    watch(&source, &source_ops);
    fix_window(ctx, 10 * SECOND);
    aio_disable_external(ctx);
    source.find_at = 1;
    other.find_at = 3;
    assert_true(aio_poll(ctx, true));
    assert_string_equal(source.log, "");
    other.find = 0;
    fix_window(ctx, 1);
    fixture_write(other.pair.b, "?", 1);
    assert_true(aio_poll(ctx, true)); /* sleeps: what was not begun is not ended */
    assert_string_equal(source.log, "");
    other.find = -1;
    fix_window(ctx, 10 * SECOND);
    aio_enable_external(ctx);
    assert_true(aio_poll(ctx, true));
    assert_string_equal(source.log, "bp!");
    aio_disable_external(ctx);
    assert_true(aio_poll(ctx, true));
    assert_string_equal(source.log, "bp!");
    fix_window(ctx, 1); /* it was begun, so it is ended */
    other.find_at = 0;
    fixture_write(other.pair.b, "?", 1);
    assert_true(aio_poll(ctx, true));
    assert_string_equal(source.log, "bp!e");
    aio_enable_external(ctx);
    source_done(&source);
    source_done(&other);
    fixture_context_free(ctx);
}

static void add_one_that_cannot_be_looked_at(Source *source)
{
    if (source->looks == 3) {
        const AioHandlerOps only_read = {.size = sizeof(only_read), .read = count};
        aio_handler_set(source->ctx, source->pair.b, fixture_pair_kind(), 0, &only_read,
                        &source->ready_calls, NULL);
        fixture_write(source->pair.b, "?", 1);
    }
}

static void handler_added_in_a_look_ends_polling(AioContext *ctx)
{
    Source source;
    source_init(&source, ctx);
    fix_window(ctx, 10 * SECOND);
    source.at_look = add_one_that_cannot_be_looked_at;
    assert_true(aio_poll(ctx, true));
    assert_string_equal(source.log, "bpepr");
    assert_int_equal(source.looks, 4);
    assert_false(aio_poll(ctx, false));
    aio_handler_remove(ctx, source.pair.b, fixture_pair_kind());
    source_done(&source);
}

static void busy_source_does_not_starve_one_that_cannot_be_looked_at(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Source busy, plain;
    source_init(&busy, ctx);
    fix_window(ctx, 10 * SECOND);
    busy.find_at = 1;
    assert_true(aio_poll(ctx, true));
    plain = (Source){.ctx = ctx, .pair = fixture_pair()};
    const AioHandlerOps only_read = {.size = sizeof(only_read), .read = source_read};
    watch(&plain, &only_read);
    fixture_write(plain.pair.b, "?", 1);
    for (int i = 0; i < 10 && plain.read_calls == 0; i++) {
        assert_true(aio_poll(ctx, true));
    }
    assert_int_equal(plain.read_calls, 1);
    source_done(&plain);
    source_done(&busy);
    fixture_context_free(ctx);
}

static bool find_nothing(void *opaque)
{
    (void)opaque;
    return false;
}

/* One that can be looked at for reading, and is ready for writing, which only the system knows. */
static void busy_source_does_not_starve_what_a_look_does_not_find(AioContext *ctx)
{
    Source busy;
    FixturePair pair = fixture_pair();
    const AioHandlerOps ops = {.size = sizeof(ops), .write = count, .poll = find_nothing};
    int writes = 0;
    source_init(&busy, ctx);
    fix_window(ctx, 10 * SECOND);
    busy.find_at = 1;
    assert_true(aio_handler_set(ctx, pair.a, fixture_pair_kind(), 0, &ops, &writes, NULL));
    for (int round = 1; round <= 3; round++) { /* once in 64 iterations, no more and no less */
        for (int i = 0; i < 63; i++) {
            assert_true(aio_poll(ctx, true));
        }
        assert_int_equal(writes, round - 1);
        assert_true(aio_poll(ctx, true));
        assert_int_equal(writes, round);
        assert_int_equal(counters_of(ctx).waits, round);
    }
    assert_int_equal(counters_of(ctx).sleeps, 0);
    assert_null(strchr(busy.log, 'e')); /* polling went on */
    assert_int_equal(busy.ready_calls, 3 * 64);
    aio_handler_remove(ctx, pair.a, fixture_pair_kind());
    fixture_pair_close(&pair);
    source_done(&busy);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(no_window_no_look),
    cmocka_unit_test_home(work_found_by_looking_costs_no_system_call),
    cmocka_unit_test_home(poll_callback_may_do_the_work_itself),
    cmocka_unit_test(one_handler_that_cannot_be_looked_at_turns_it_off),
    cmocka_unit_test_home(work_that_is_there_comes_before_looking),
    cmocka_unit_test_home(call_that_does_not_block_looks_once_and_asks_the_system),
    cmocka_unit_test_home(own_wake_up_is_no_progress_and_no_obstacle),
    cmocka_unit_test_home(sources_tell_by_themselves_again_before_a_sleep),
    cmocka_unit_test_home(work_found_after_the_end_cancels_the_sleep),
    cmocka_unit_test_home(source_removed_while_it_is_polled_gets_no_end),
    cmocka_unit_test(disabled_source_is_neither_begun_nor_looked_at),
    cmocka_unit_test_home(handler_added_in_a_look_ends_polling),
    cmocka_unit_test(busy_source_does_not_starve_one_that_cannot_be_looked_at),
    cmocka_unit_test_home(busy_source_does_not_starve_what_a_look_does_not_find),
};
TEST_MAIN(tests)
