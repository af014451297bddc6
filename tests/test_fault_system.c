/*
 * The system calls of contexts, pollers and notifiers, where the system refuses them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

#include <errno.h>

#include "core/context.h"
#include "tests/system_fault.h"

static bool has_eventfd; /* the library asks for one */

/* Begin anew; skip where the linker did not put our functions in the place of the system's. */
static void faults_init(void)
{
    AioNotifier notifier;
    fault_reset();
    assert_int_equal(aio_notifier_init(&notifier, true), 0);
    aio_notifier_cleanup(&notifier);
    has_eventfd = fault_count(FAULT_EVENTFD) > 0;
    if (fault_count(FAULT_EVENTFD) + fault_count(FAULT_PIPE) == 0) {
        fixture_skip("system calls can't be replaced in this build");
    }
    fault_reset();
}

/* The notifier where there is no eventfd. */

static void notify_later(void *opaque)
{
    fixture_sleep_ms(10);
    aio_notify(opaque);
}

static void notifier_is_a_pipe_where_the_system_has_no_eventfd(void **state)
{
    (void)state;
    faults_init();
    unsigned before = fixture_open_handles();
    AioNotifier notifier;
    fault_arm(FAULT_EVENTFD, 1, ENOSYS, true);
    assert_int_equal(aio_notifier_init(&notifier, true), 0);
    assert_int_equal(fault_count(FAULT_PIPE), 1);
    assert_true(notifier.read_handle != notifier.write_handle);
    assert_true(fixture_handle_is_private(notifier.read_handle));
    assert_true(fixture_handle_is_private(notifier.write_handle));
    assert_true(aio_notifier_test_and_clear(&notifier));
    for (int i = 0; i < 70000; i++) { /* more than a pipe takes */
        assert_int_equal(aio_notifier_set(&notifier), 0);
    }
    assert_true(aio_notifier_test_and_clear(&notifier));
    assert_false(aio_notifier_test_and_clear(&notifier));
    aio_notifier_cleanup(&notifier);
    assert_int_equal(aio_notifier_set(&notifier), -EBADF);
    assert_int_equal(fixture_open_handles(), before);
    fault_reset();
}

static void context_is_woken_through_a_pipe(void **state)
{
    (void)state;
    faults_init();
    unsigned before = fixture_open_handles();
    fault_arm(FAULT_EVENTFD, 1, ENOSYS, true);
    AioContext *ctx = fixture_context();
    AioContextInfo info = {.size = sizeof(info)};
    assert_int_equal(fault_count(FAULT_PIPE), 1);
    for (int i = 0; i < 3; i++) {
        FixtureThread *thread = fixture_thread_start(notify_later, ctx);
        assert_false(drive(ctx, true));
        fixture_thread_join(thread);
    }
    aio_context_info(ctx, &info);
    assert_int_equal(info.counters.drains, 3); /* a full pipe tells no more edges */
    fixture_context_free(ctx);
    assert_int_equal(fixture_open_handles(), before);
    fault_reset();
}

static void refused_notifier_says_why_and_leaves_nothing(void **state)
{
    (void)state;
    faults_init();
    static const struct {
        FaultCall call;
        unsigned last; /* so many are made */
        int error;
    } faults[] = {
        {FAULT_EVENTFD, 1, EMFILE}, {FAULT_EVENTFD, 1, ENODEV}, {FAULT_PIPE, 1, ENFILE},
        {FAULT_FCNTL, 4, EINVAL},   {FAULT_WRITE, 1, EIO},
    };
    unsigned before = fixture_open_handles();
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        unsigned last = faults[i].call != FAULT_EVENTFD || has_eventfd ? faults[i].last : 0;
        for (unsigned n = 1; n <= last; n++) {
            AioNotifier notifier;
            if (faults[i].call != FAULT_EVENTFD) {
                fault_arm(FAULT_EVENTFD, 1, ENOSYS, true);
            }
            fault_arm(faults[i].call, n, faults[i].error, false);
            assert_int_equal(aio_notifier_init(&notifier, true), -faults[i].error);
            fault_reset();
            assert_int_equal(aio_notifier_handle(&notifier), AIO_HANDLE_NONE);
            assert_int_equal(aio_notifier_set(&notifier), -EBADF);
            aio_notifier_cleanup(&notifier);
            assert_int_equal(fixture_open_handles(), before);
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(notifier_is_a_pipe_where_the_system_has_no_eventfd),
    cmocka_unit_test(context_is_woken_through_a_pipe),
    cmocka_unit_test(refused_notifier_says_why_and_leaves_nothing),
};
TEST_MAIN(tests)
