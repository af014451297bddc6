/*
 * Registering handlers: what a set replaces, what removes, and what is refused.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

#include <errno.h>

#include "tests/probe.h"

static void handlers_of_an_unbound_context_take_effect(AioContext *ctx)
{
    Probe a, b, c;
    probe_open_reader(&a, ctx);
    probe_open_reader(&b, ctx);
    probe_open_reader(&c, ctx);
    probe_ping(&a);
    probe_ping(&b);
    probe_ping(&c);
    probe_remove(&b);
    probe_set(&c, PROBE_READ, 0);
    assert_true(drive(ctx, false));
    assert_int_equal(a.reads, 1);
    assert_int_equal(b.reads, 0);
    assert_int_equal(c.reads, 1);
    assert_int_equal(probe_handlers(ctx), 2);
    probe_close(&a);
    probe_close(&b);
    probe_close(&c);
}

static void replacing_changes_callbacks_and_opaque_as_one(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Probe a, b;
    probe_open(&a, ctx);
    b = (Probe){.ctx = ctx, .pair = a.pair};
    probe_set(&a, PROBE_READ | PROBE_WRITE, 0);
    probe_set(&b, PROBE_READ, 0);
    probe_ping(&a);
    assert_true(drive(ctx, false));
    assert_int_equal(a.calls, 0);
    assert_int_equal(b.reads, 1);
    assert_int_equal(b.writes, 0);
    assert_int_equal(probe_handlers(ctx), 1);
    probe_set(&a, PROBE_WRITE, 0);
    probe_ping(&a);
    assert_true(drive(ctx, true));
    assert_int_equal(a.reads, 0);
    assert_int_equal(a.writes, 1);
    assert_int_equal(b.calls, 1);
    probe_close(&a);
    fixture_context_free(ctx);
}

static void no_callbacks_remove_and_unknown_handles_are_ignored(AioContext *ctx)
{
    Probe a, b;
    AioHandlerOps none = {.size = sizeof(none)};
    probe_open_reader(&a, ctx);
    probe_open(&b, ctx);
    probe_ping(&a);
    AioContextCounters before = probe_counters(ctx);
    aio_set_fd_handler(ctx, (int)b.pair.a, false, NULL, NULL, NULL, NULL);
    assert_true(aio_handler_set(ctx, b.pair.a, fixture_pair_kind(), 0, NULL, NULL, NULL));
    assert_true(aio_handler_set(ctx, b.pair.a, fixture_pair_kind(), 0, &none, NULL, NULL));
    probe_remove(&b);
    assert_int_equal(probe_counters(ctx).interest_updates, before.interest_updates);
    assert_int_equal(probe_counters(ctx).notifier_writes, before.notifier_writes);
    assert_int_equal(probe_handlers(ctx), 1);
    aio_set_fd_handler(ctx, (int)a.pair.a, false, NULL, NULL, NULL, NULL);
    assert_int_equal(probe_handlers(ctx), 0);
    assert_false(drive(ctx, false));
    probe_set(&a, PROBE_READ, 0);
    assert_true(aio_handler_set(ctx, a.pair.a, fixture_pair_kind(), 0, &none, &a, NULL));
    assert_int_equal(probe_handlers(ctx), 0);
    assert_false(drive(ctx, false));
    assert_int_equal(a.calls, 0);
    assert_null(aio_context_take_error(ctx));
    probe_close(&a);
    probe_close(&b);
}

static void handler_with_nothing_but_poll_is_never_waited_for(AioContext *ctx)
{
    Probe a, b;
    probe_open(&a, ctx);
    probe_set(&a, PROBE_POLL, 0);
    probe_open_reader(&b, ctx);
    a.found = true;
    probe_ping(&a);
    assert_false(drive(ctx, false));
    probe_ping(&b);
    assert_true(drive(ctx, true));
    assert_int_equal(a.polls, 0); /* busy-polling is off */
    assert_int_equal(probe_handlers(ctx), 2);
    assert_false(aio_prepare(ctx));
    assert_false(aio_pending(ctx));
    aio_dispatch(ctx);
    assert_int_equal(a.polls, 0);
    probe_close(&a);
    probe_close(&b);
}

static void nothing(void *opaque)
{
    (void)opaque;
}

static void refuse(AioContext *ctx, AioHandle handle, AioHandleKind kind, unsigned flags,
                   const AioHandlerOps *ops, int code, const char *text)
{
    AioError *error = NULL;
    assert_false(aio_handler_set(ctx, handle, kind, flags, ops, NULL, &error));
    assert_non_null(error);
    assert_int_equal(aio_error_code(error), code);
    if (!strstr(aio_error_message(error), text)) {
        print_error("\"%s\" is not in \"%s\"\n", text, aio_error_message(error));
        fail();
    }
    aio_error_free(error);
    assert_false(aio_handler_set(ctx, handle, kind, flags, ops, NULL, NULL));
}

static void bad_arguments_are_errors_that_name_the_value(AioContext *ctx)
{
    Probe a;
    AioHandleKind kind = fixture_pair_kind();
    AioHandlerOps ops = {.size = sizeof(ops), .read = nothing};
    AioHandlerOps odd = ops;
    probe_open_reader(&a, ctx);
    refuse(ctx, -7, kind, 0, &ops, EBADF, "-7");
    refuse(ctx, a.pair.a, (AioHandleKind)99, 0, &ops, EINVAL, "99");
    refuse(ctx, a.pair.a, kind, 0x40, &ops, EINVAL, "0x40");
    for (size_t size = 0; size <= sizeof(ops) + sizeof(void *); size++) {
        bool known = size > sizeof(size_t) && size <= sizeof(ops) && size % sizeof(void *) == 0;
        char text[32];
        odd.size = size;
        snprintf(text, sizeof(text), "%zu", size);
        if (!known) {
            refuse(ctx, a.pair.a, kind, 0, &odd, EINVAL, text);
        }
    }
    assert_null(aio_context_take_error(ctx));
    probe_ping(&a);
    assert_true(drive(ctx, false)); /* the former handler still stands */
    assert_int_equal(a.reads, 1);
    odd.size = offsetof(AioHandlerOps, write); /* of a version that knows no more */
    odd.write = nothing;
    assert_true(aio_handler_set(ctx, a.pair.a, kind, 0, &odd, NULL, NULL));
    assert_false(drive(ctx, false)); /* writable, but not asked for */
    probe_close(&a);
}

static void note_error(AioContext *ctx, const AioError *error, void *opaque)
{
    (void)ctx;
    *(int *)opaque = aio_error_code(error);
}

static void void_forms_record_their_errors(AioContext *ctx)
{
    int told = 0;
    aio_context_set_error_func(ctx, note_error, &told);
    aio_set_fd_handler(ctx, -3, false, nothing, NULL, NULL, NULL);
    assert_int_equal(told, EBADF);
    aio_handler_remove(ctx, -4, fixture_pair_kind());
    assert_int_equal(probe_counters(ctx).errors_recorded, 2);
    probe_expect_error(ctx, EBADF, "-3"); /* the first is kept */
    assert_null(aio_context_take_error(ctx));
    AioNotifier notifier;
    assert_int_equal(aio_notifier_init(&notifier, false), 0);
    aio_notifier_cleanup(&notifier);
    aio_set_event_notifier(ctx, &notifier, false, (AioNotifierFunc *)NULL, NULL);
    probe_expect_error(ctx, EBADF, "-1");
}

static void set_fd_poll_of_an_unknown_descriptor_does_nothing(AioContext *ctx)
{
    Probe a;
    probe_open(&a, ctx);
    aio_set_fd_poll(ctx, (int)a.pair.a, nothing, nothing);
    assert_int_equal(probe_handlers(ctx), 0);
    assert_false(drive(ctx, false));
    assert_null(aio_context_take_error(ctx));
    probe_close(&a);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(handlers_of_an_unbound_context_take_effect),
    cmocka_unit_test(replacing_changes_callbacks_and_opaque_as_one),
    cmocka_unit_test_home(no_callbacks_remove_and_unknown_handles_are_ignored),
    cmocka_unit_test_home(handler_with_nothing_but_poll_is_never_waited_for),
    cmocka_unit_test_home(bad_arguments_are_errors_that_name_the_value),
    cmocka_unit_test_home(void_forms_record_their_errors),
    cmocka_unit_test_home(set_fd_poll_of_an_unknown_descriptor_does_nothing),
};
TEST_MAIN(tests)
