/*
 * Notifiers: set, clear, their end, and serving one as a handler.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

#include <errno.h>

static AioNotifier made(bool active)
{
    AioNotifier notifier;
    assert_int_equal(aio_notifier_init(&notifier, active), 0);
    return notifier;
}

static void notifier_is_made_clear_or_set(void **state)
{
    (void)state;
    AioNotifier clear = made(false), set = made(true);
    assert_false(aio_notifier_test_and_clear(&clear));
    assert_true(aio_notifier_test_and_clear(&set));
    assert_false(aio_notifier_test_and_clear(&set));
    aio_notifier_cleanup(&clear);
    aio_notifier_cleanup(&set);
}

static void sets_are_one_and_one_clear_takes_all(void **state)
{
    (void)state;
    AioNotifier notifier = made(true);
    for (int i = 0; i < 1500; i++) {
        assert_int_equal(aio_notifier_set(&notifier), 0);
    }
    AioHandle handle = aio_notifier_handle(&notifier);
    assert_true(fixture_wait_readable(&handle, 1, 0));
    assert_true(aio_notifier_test_and_clear(&notifier));
    assert_false(fixture_wait_readable(&handle, 1, 0));
    assert_false(aio_notifier_test_and_clear(&notifier));
    aio_notifier_cleanup(&notifier);
}

static void handles_neither_block_nor_leak_into_other_programs(void **state)
{
    (void)state;
    AioNotifier notifier = made(false);
    assert_true(fixture_handle_is_private(notifier.read_handle));
    assert_true(fixture_handle_is_private(notifier.write_handle));
    aio_notifier_cleanup(&notifier);
}

static void fill(AioNotifier *notifier)
{
    if (aio_notifier_handle_kind() == AIO_HANDLE_OBJECT) {
        aio_notifier_set(notifier); /* as full as it gets */
    } else if (notifier->read_handle == notifier->write_handle) {
        const uint64_t most = UINT64_MAX - 1; /* of eventfd(2) */
        assert_int_equal(fixture_write(notifier->write_handle, &most, sizeof(most)), sizeof(most));
    } else {
        assert_true(fixture_fill(notifier->write_handle) > 0);
    }
}

static void full_notifier_is_set_and_takes_more(void **state)
{
    (void)state;
    AioNotifier notifier = made(false);
    fill(&notifier);
    assert_int_equal(aio_notifier_set(&notifier), 0);
    assert_true(aio_notifier_test_and_clear(&notifier));
    assert_false(aio_notifier_test_and_clear(&notifier));
    assert_int_equal(aio_notifier_set(&notifier), 0);
    assert_true(aio_notifier_test_and_clear(&notifier));
    aio_notifier_cleanup(&notifier);
}

static void errno_of_the_caller_is_kept(void **state)
{
    (void)state;
    AioNotifier notifier = made(false);
    fill(&notifier);
    errno = 12345;
    aio_notifier_set(&notifier);
    assert_int_equal(errno, 12345);
    aio_notifier_test_and_clear(&notifier);
    aio_notifier_test_and_clear(&notifier);
    assert_int_equal(errno, 12345);
    aio_notifier_cleanup(&notifier);
    aio_notifier_set(&notifier);
    aio_notifier_test_and_clear(&notifier);
    assert_int_equal(errno, 12345);
}

static void late_use_hits_no_recycled_descriptor(void **state)
{
    (void)state;
    AioNotifier notifier = made(false);
    aio_notifier_cleanup(&notifier);
    FixturePair pair = fixture_pair(), other = fixture_pair();
    assert_int_equal(aio_notifier_handle(&notifier), AIO_HANDLE_NONE);
    assert_int_equal(aio_notifier_set(&notifier), -EBADF);
    assert_int_equal(fixture_write(pair.a, "?", 1), 1);
    assert_int_equal(fixture_write(other.a, "?", 1), 1);
    assert_false(aio_notifier_test_and_clear(&notifier));
    aio_notifier_cleanup(&notifier);
    char byte;
    assert_int_equal(fixture_read(pair.b, &byte, 1), 1);
    assert_int_equal(fixture_read(pair.b, &byte, 1), -1); /* open, and nothing more in it */
    assert_int_equal(fixture_read(other.b, &byte, 1), 1);
    assert_int_equal(fixture_read(other.b, &byte, 1), -1);
    fixture_pair_close(&pair);
    fixture_pair_close(&other);
}

static void refused_notifier_is_harmless(void **state)
{
    (void)state;
    unsigned before = fixture_open_handles();
    AioNotifier notifier;
    if (!fixture_limit_handles(1)) {
        fixture_skip("the handles of a process can't be limited here");
    }
    int error = aio_notifier_init(&notifier, true);
    fixture_limit_handles(0);
    assert_int_equal(error, -EMFILE);
    assert_int_equal(aio_notifier_handle(&notifier), AIO_HANDLE_NONE);
    assert_int_equal(aio_notifier_set(&notifier), -EBADF);
    assert_false(aio_notifier_test_and_clear(&notifier));
    aio_notifier_cleanup(&notifier);
    assert_true(fixture_handles_left(before));
}

static void set_in_signal_handler(void *opaque)
{
    aio_notifier_set(opaque);
}

static void signal_handler_sets_it(void **state)
{
    (void)state;
    AioNotifier notifier = made(false);
    if (!fixture_signal_start(set_in_signal_handler, &notifier, 300)) {
        fixture_skip("no such signals here");
    }
    AioHandle handle = aio_notifier_handle(&notifier);
    for (int i = 0; i < 100; i++) {
        assert_true(fixture_wait_readable(&handle, 1, 5000));
        assert_true(aio_notifier_test_and_clear(&notifier));
    }
    fixture_signal_stop();
    aio_notifier_cleanup(&notifier);
}

typedef struct Counting {
    AioNotifier notifier;
    atomic_int made;
    int seen;
    int calls;
    bool leave;        /* set */
    bool wrong_opaque; /* seen */
} Counting;

enum { SETTERS = 2, SETS = 20000 };

static void set_often(void *opaque)
{
    Counting *counting = opaque;
    for (int i = 0; i < SETS; i++) {
        atomic_fetch_add(&counting->made, 1);
        aio_notifier_set(&counting->notifier);
    }
}

static void no_set_of_many_threads_is_lost(void **state)
{
    (void)state;
    Counting counting = {.notifier = made(false)};
    AioHandle handle = aio_notifier_handle(&counting.notifier);
    FixtureThread *threads[SETTERS];
    for (int i = 0; i < SETTERS; i++) {
        threads[i] = fixture_thread_start(set_often, &counting);
    }
    bool in_time = true;
    while (counting.seen < SETTERS * SETS && in_time) {
        in_time = fixture_wait_readable(&handle, 1, 10000);
        aio_notifier_test_and_clear(&counting.notifier);
        counting.seen = atomic_load(&counting.made);
    }
    for (int i = 0; i < SETTERS; i++) {
        fixture_thread_join(threads[i]);
    }
    assert_true(in_time);
    aio_notifier_cleanup(&counting.notifier);
}

static void on_notifier(AioNotifier *notifier)
{
    Counting *counting = (Counting *)(void *)notifier; /* its first member */
    counting->calls++;
    if (!counting->leave) {
        aio_notifier_test_and_clear(notifier);
    }
}

static void handler_is_called_with_the_notifier_and_clears_it(AioContext *ctx)
{
    Counting counting = {.notifier = made(false)};
    aio_set_event_notifier(ctx, &counting.notifier, false, on_notifier, NULL);
    assert_false(drive(ctx, false));
    aio_notifier_set(&counting.notifier);
    assert_true(drive(ctx, true));
    assert_int_equal(counting.calls, 1);
    assert_false(drive(ctx, false));
    counting.leave = true;
    aio_notifier_set(&counting.notifier);
    for (int i = 2; i <= 4; i++) { /* the loop does not clear it */
        assert_true(drive(ctx, true));
        assert_int_equal(counting.calls, i);
    }
    assert_true(aio_notifier_test_and_clear(&counting.notifier));
    assert_false(drive(ctx, false));
    aio_set_event_notifier(ctx, &counting.notifier, false, NULL, NULL);
    aio_notifier_set(&counting.notifier);
    assert_false(drive(ctx, false));
    assert_int_equal(counting.calls, 4);
    aio_notifier_cleanup(&counting.notifier);
}

static void set_later(void *opaque)
{
    fixture_sleep_ms(20);
    aio_notifier_set(opaque);
}

static void set_from_another_thread_wakes_a_sleeping_loop(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    Counting counting = {.notifier = made(false)};
    aio_set_event_notifier(ctx, &counting.notifier, false, on_notifier, NULL);
    FixtureThread *thread = fixture_thread_start(set_later, &counting.notifier);
    assert_true(drive(ctx, true));
    assert_int_equal(counting.calls, 1);
    fixture_thread_join(thread);
    aio_set_event_notifier(ctx, &counting.notifier, false, NULL, NULL);
    aio_notifier_cleanup(&counting.notifier);
    fixture_context_free(ctx);
}

static bool poll_counting(void *opaque)
{
    Counting *counting = opaque; /* the notifier is its first member */
    counting->wrong_opaque |= aio_notifier_handle(&counting->notifier) == AIO_HANDLE_NONE;
    return false;
}

static void read_and_poll_are_one_registration(AioContext *ctx)
{
    AioContextInfo info = {.size = sizeof(info)};
    Counting counting = {.notifier = made(true)};
    aio_set_event_notifier(ctx, &counting.notifier, false, NULL, poll_counting);
    assert_false(drive(ctx, false)); /* only polled: never waited for */
    aio_context_info(ctx, &info);
    assert_int_equal(info.handlers, 1);
    aio_set_event_notifier(ctx, &counting.notifier, false, on_notifier, poll_counting);
    assert_true(drive(ctx, false));
    assert_int_equal(counting.calls, 1);
    aio_context_info(ctx, &info);
    assert_int_equal(info.handlers, 1);
    aio_set_event_notifier(ctx, &counting.notifier, false, NULL, NULL);
    aio_context_info(ctx, &info);
    assert_int_equal(info.handlers, 0);
    assert_false(counting.wrong_opaque);
    aio_notifier_cleanup(&counting.notifier);
}

static void call_opaque(void *opaque)
{
    Counting *counting = opaque;
    on_notifier(&counting->notifier);
}

static void kind_and_handle_are_its_registration(AioContext *ctx)
{
    AioContextInfo info = {.size = sizeof(info)};
    Counting counting = {.notifier = made(true)};
    const AioHandlerOps ops = {.size = sizeof(ops), .read = call_opaque};
    AioHandle handle = aio_notifier_handle(&counting.notifier);
    AioHandleKind kind = aio_notifier_handle_kind();
    assert_true(aio_handler_set(ctx, handle, kind, 0, &ops, &counting, NULL));
    assert_true(drive(ctx, true));
    assert_int_equal(counting.calls, 1);
    aio_set_event_notifier(ctx, &counting.notifier, false, on_notifier, NULL); /* the same one */
    aio_context_info(ctx, &info);
    assert_int_equal(info.handlers, 1);
    aio_notifier_set(&counting.notifier);
    assert_true(drive(ctx, true));
    assert_int_equal(counting.calls, 2);
    aio_handler_remove(ctx, handle, kind);
    aio_context_info(ctx, &info);
    assert_int_equal(info.handlers, 0);
    aio_notifier_cleanup(&counting.notifier);
    assert_int_equal(aio_notifier_handle_kind(), kind);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(notifier_is_made_clear_or_set),
    cmocka_unit_test(sets_are_one_and_one_clear_takes_all),
    cmocka_unit_test(handles_neither_block_nor_leak_into_other_programs),
    cmocka_unit_test(full_notifier_is_set_and_takes_more),
    cmocka_unit_test(errno_of_the_caller_is_kept),
    cmocka_unit_test(late_use_hits_no_recycled_descriptor),
    cmocka_unit_test(refused_notifier_is_harmless),
    cmocka_unit_test(signal_handler_sets_it),
    cmocka_unit_test(no_set_of_many_threads_is_lost),
    cmocka_unit_test_home(handler_is_called_with_the_notifier_and_clears_it),
    cmocka_unit_test(set_from_another_thread_wakes_a_sleeping_loop),
    cmocka_unit_test_home(read_and_poll_are_one_registration),
    cmocka_unit_test_home(kind_and_handle_are_its_registration),
};
TEST_MAIN(tests)
