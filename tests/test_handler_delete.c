/*
 * Removing handlers: from their own callbacks and others', in nested calls, with the number used again.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

#include "tests/probe.h"

static void removed_handler_is_not_called(AioContext *ctx)
{
    Probe a;
    probe_open_reader(&a, ctx);
    probe_ping(&a);
    probe_remove(&a);
    assert_false(drive(ctx, false));
    assert_int_equal(a.calls, 0);
    assert_int_equal(probe_handlers(ctx), 0);
    probe_set(&a, PROBE_READ, 0);
    assert_true(drive(ctx, false));
    assert_int_equal(a.reads, 1);
    probe_close(&a);
}

static void remove_self(Probe *probe)
{
    probe_remove(probe);
}

static void handler_that_removes_itself_gets_no_write(AioContext *ctx)
{
    Probe a;
    probe_open(&a, ctx);
    a.on_read = remove_self;
    probe_set(&a, PROBE_READ | PROBE_WRITE, 0);
    probe_ping(&a);
    assert_true(drive(ctx, false));
    assert_int_equal(a.reads, 1);
    assert_int_equal(a.writes, 0);
    assert_false(drive(ctx, false));
    probe_close(&a);
}

/* All in one heap block, which the callback frees: nothing may look at the opaque afterwards. */
static void free_self(Probe *probe)
{
    probe_close(probe);
    free(probe);
}

static void opaque_can_be_freed_with_its_handler(AioContext *ctx)
{
    for (int i = 0; i < 100; i++) {
        Probe *probe = malloc(sizeof(*probe));
        probe_open(probe, ctx);
        probe->on_read = free_self;
        probe_set(probe, PROBE_READ | PROBE_WRITE, 0);
        probe_ping(probe);
    }
    assert_true(drive(ctx, false));
    while (probe_handlers(ctx) > 0) {
        assert_true(drive(ctx, true));
    }
}

enum { GROUP = 100 };

static void remove_all(Probe *probe)
{
    Probe *all = probe->arg;
    for (int i = 0; i < GROUP; i++) {
        probe_remove(&all[i]);
    }
}

static void handler_removes_all_others_and_none_of_them_runs(AioContext *ctx)
{
    static Probe probes[GROUP];
    for (int i = 0; i < GROUP; i++) {
        probe_open_reader(&probes[i], ctx);
        probes[i].on_read = remove_all;
        probes[i].arg = probes;
        probe_ping(&probes[i]);
    }
    assert_true(drive(ctx, true));
    assert_false(drive(ctx, false));
    int reads = 0;
    for (int i = 0; i < GROUP; i++) {
        reads += probes[i].reads;
        probe_close(&probes[i]);
    }
    assert_int_equal(reads, 1);
}

static void close_other(Probe *probe)
{
    Probe *other = probe->arg;
    if (other->pair.a != AIO_HANDLE_NONE) {
        probe_close(other);
        probe_close(probe);
    }
}

static void handler_removes_another_and_itself(AioContext *ctx)
{
    Probe a, b;
    probe_open_reader(&a, ctx);
    probe_open_reader(&b, ctx);
    a.on_read = b.on_read = close_other;
    a.arg = &b;
    b.arg = &a;
    probe_ping(&a);
    probe_ping(&b);
    assert_true(drive(ctx, false));
    assert_int_equal(a.calls + b.calls, 1);
    assert_int_equal(probe_handlers(ctx), 0);
    assert_false(drive(ctx, false));
}

static void unknown_handles_are_removed_from_among_many(AioContext *ctx)
{
    static Probe probes[GROUP];
    Probe stranger;
    probe_open(&stranger, ctx);
    probe_remove(&stranger); /* before there is any */
    for (int i = 0; i < GROUP; i++) {
        probe_open_reader(&probes[i], ctx);
        probe_remove(&stranger);
    }
    assert_int_equal(probe_handlers(ctx), GROUP);
    assert_false(drive(ctx, false));
    for (int i = 0; i < GROUP; i += 2) {
        probe_remove(&probes[i]);
        probe_remove(&probes[i]);
    }
    assert_int_equal(probe_handlers(ctx), GROUP / 2);
    for (int i = 0; i < GROUP; i++) {
        probe_ping(&probes[i]);
    }
    while (drive(ctx, false)) {
        continue;
    }
    for (int i = 0; i < GROUP; i++) {
        assert_int_equal(probes[i].reads, i % 2);
        probe_close(&probes[i]);
    }
    probe_close(&stranger);
}

static void add_again(Probe *probe)
{
    probe_remove(probe);
    probe_set(probe->arg, PROBE_READ | PROBE_WRITE, 0);
}

static void handle_added_again_in_its_callback_is_a_new_registration(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Probe a, b;
    probe_open(&a, ctx);
    b = (Probe){.ctx = ctx, .pair = a.pair};
    a.on_read = add_again;
    a.arg = &b;
    probe_set(&a, PROBE_READ | PROBE_WRITE, 0);
    probe_ping(&a);
    assert_true(drive(ctx, false));
    assert_int_equal(a.reads, 1);
    assert_int_equal(a.writes, 0);
    assert_int_equal(b.calls, 0);
    assert_int_equal(probe_handlers(ctx), 1);
    probe_ping(&a);
    assert_true(drive(ctx, true));
    assert_int_equal(b.reads, 1);
    assert_int_equal(b.writes, 1);
    assert_int_equal(a.calls, 1);
    probe_close(&b);
    fixture_context_free(ctx);
}

typedef struct Turns {
    int left;
    int depth;
    int deepest;
} Turns;

/* Removes and adds itself in every call, and runs a nested iteration in which it is called again. */
static void turn(Probe *probe)
{
    Turns *turns = probe->arg;
    if (--turns->left <= 0) {
        return;
    }
    probe_remove(probe);
    probe_set(probe, PROBE_READ, 0);
    probe_ping(probe);
    turns->depth++;
    turns->deepest = turns->depth > turns->deepest ? turns->depth : turns->deepest;
    if (turns->depth < 10) {
        assert_true(drive(probe->ctx, false));
    }
    turns->depth--;
}

static void handle_is_removed_and_added_in_its_callback_time_and_again(AioContext *ctx)
{
    Probe a;
    Turns turns = {.left = fixture_turns(100000)};
    probe_open_reader(&a, ctx);
    a.on_read = turn;
    a.arg = &turns;
    probe_ping(&a);
    while (turns.left > 0) {
        assert_true(drive(ctx, false));
    }
    assert_int_equal(turns.deepest, 10);
    assert_int_equal(a.reads, fixture_turns(100000));
    assert_int_equal(probe_handlers(ctx), 1);
    probe_close(&a);
}

static void run_until_the_other_is_done(Probe *probe)
{
    Probe *other = probe->arg;
    Turns *turns = other->arg;
    probe_ping(other);
    while (turns->left > 0) {
        assert_true(drive(probe->ctx, true));
    }
}

static void removals_in_a_callback_that_runs_the_loop_for_long_take_linear_time(AioContext *ctx)
{
    Probe outer, inner;
    Turns turns = {.left = fixture_turns(100000), .depth = 10}; /* no nesting of its own */
    probe_open_reader(&outer, ctx);
    probe_open_reader(&inner, ctx);
    outer.on_read = run_until_the_other_is_done;
    outer.arg = &inner;
    inner.on_read = turn;
    inner.arg = &turns;
    probe_ping(&outer);
    int64_t start = fixture_now_ns();
    assert_true(drive(ctx, true));
    assert_int_equal(inner.reads, fixture_turns(100000));
    assert_true(fixture_now_ns() - start < 20000000000);
    probe_close(&outer);
    probe_close(&inner);
}

static void remove_in_nested_call(Probe *probe)
{
    Probe *other = probe->arg;
    if (other) {
        probe_ping(other);
        while (other->reads == 0) {
            assert_true(drive(probe->ctx, true));
        }
    }
}

static void remove_the_outer(Probe *probe)
{
    probe_close(probe->arg);
}

static void handler_removed_in_a_nested_call_of_its_own_callback_runs_no_more(AioContext *ctx)
{
    Probe outer, inner;
    probe_open(&outer, ctx);
    probe_open_reader(&inner, ctx);
    outer.on_read = remove_in_nested_call;
    outer.arg = &inner;
    inner.on_read = remove_the_outer;
    inner.arg = &outer;
    probe_set(&outer, PROBE_READ | PROBE_WRITE, 0);
    fixture_fill(outer.pair.a); /* else the nested call would write */
    probe_ping(&outer);
    assert_true(drive(ctx, true));
    assert_int_equal(outer.reads, 1);
    assert_int_equal(outer.writes, 0);
    assert_int_equal(inner.reads, 1);
    assert_int_equal(probe_handlers(ctx), 1);
    probe_close(&inner);
}

static void remove_elsewhere(void *opaque)
{
    probe_remove(opaque);
}

/* What another thread does that removes a handler, then posts a bottom half that frees its opaque. */
static void remove_and_free(void *opaque)
{
    Probe *probe = opaque;
    FixtureThread *thread = fixture_thread_start(remove_elsewhere, probe);
    fixture_thread_join(thread);
    fixture_pair_close(&probe->pair);
    free(probe);
}

static void removed_elsewhere_it_is_not_called_after_a_bottom_half_that_followed(AioContext *ctx)
{
    for (int i = 0; i < 20; i++) {
        Probe *probe = malloc(sizeof(*probe));
        probe_open_reader(probe, ctx);
        assert_false(drive(ctx, false));
        probe_ping(probe);
        aio_bh_schedule_oneshot(ctx, remove_and_free, probe);
        assert_true(drive(ctx, false));
    }
    assert_false(drive(ctx, false));
    assert_int_equal(probe_handlers(ctx), 0);
}

static void drop_context(Probe *probe)
{
    probe_close(probe);
    aio_context_unref(probe->ctx);
}

static void last_reference_goes_in_the_callback_of_a_removed_handler(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Probe a;
    probe_open_reader(&a, ctx);
    a.on_read = drop_context;
    probe_ping(&a);
    assert_true(drive(ctx, true));
    assert_int_equal(a.reads, 1);
}

static void context_ends_with_removed_handlers_not_yet_freed(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Probe a, b;
    probe_open_reader(&a, ctx);
    probe_open_reader(&b, ctx);
    assert_false(drive(ctx, false));
    probe_close(&a);
    probe_close(&b);
    aio_context_unref(ctx); /* LeakSanitizer looks */
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(removed_handler_is_not_called),
    cmocka_unit_test_home(handler_that_removes_itself_gets_no_write),
    cmocka_unit_test_home(opaque_can_be_freed_with_its_handler),
    cmocka_unit_test_home(handler_removes_all_others_and_none_of_them_runs),
    cmocka_unit_test_home(handler_removes_another_and_itself),
    cmocka_unit_test_home(unknown_handles_are_removed_from_among_many),
    cmocka_unit_test(handle_added_again_in_its_callback_is_a_new_registration),
    cmocka_unit_test_home(handle_is_removed_and_added_in_its_callback_time_and_again),
    cmocka_unit_test_home(removals_in_a_callback_that_runs_the_loop_for_long_take_linear_time),
    cmocka_unit_test_home(handler_removed_in_a_nested_call_of_its_own_callback_runs_no_more),
    cmocka_unit_test_home(removed_elsewhere_it_is_not_called_after_a_bottom_half_that_followed),
    cmocka_unit_test(last_reference_goes_in_the_callback_of_a_removed_handler),
    cmocka_unit_test(context_ends_with_removed_handlers_not_yet_freed),
};
TEST_MAIN(tests)
