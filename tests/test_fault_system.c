/*
 * The system calls of contexts, pollers and notifiers, where the system refuses them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/context.h"
#include "tests/probe.h"
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
    fault_arm(FAULT_EVENTFD, 1, FAULT_ALWAYS, ENOSYS);
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
    assert_true(fixture_handles_left(before));
    fault_reset();
}

static void context_is_woken_through_a_pipe(void **state)
{
    (void)state;
    faults_init();
    unsigned before = fixture_open_handles();
    fault_arm(FAULT_EVENTFD, 1, FAULT_ALWAYS, ENOSYS);
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
    assert_true(fixture_handles_left(before));
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
                fault_arm(FAULT_EVENTFD, 1, FAULT_ALWAYS, ENOSYS);
            }
            fault_arm(faults[i].call, n, 1, faults[i].error);
            assert_int_equal(aio_notifier_init(&notifier, true), -faults[i].error);
            fault_reset();
            assert_int_equal(aio_notifier_handle(&notifier), AIO_HANDLE_NONE);
            assert_int_equal(aio_notifier_set(&notifier), -EBADF);
            aio_notifier_cleanup(&notifier);
            assert_true(fixture_handles_left(before));
        }
    }
}

/* The epoll set that is made anew. */

/* Leave a registration behind that nobody can remove; returns what keeps its file open. */
static int leave_stale(AioContext *ctx, Probe *probe)
{
    probe_open_reader(probe, ctx);
    drive(ctx, false);
    int copy = dup((int)probe->pair.a);
    close((int)probe->pair.a);
    probe_remove(probe);
    probe_ping(probe);
    return copy;
}

static void set_that_cannot_be_replaced_costs_no_event_and_no_spin(void **state)
{
    (void)state;
    faults_init();
    static const struct {
        FaultCall call;
        int error;
    } faults[] = {{FAULT_DUP3, EBUSY}, {FAULT_EPOLL_CREATE1, EMFILE}};
    unsigned before = fixture_open_handles();
    for (size_t i = 0; i < 2; i++) {
        AioContext *ctx = fixture_home();
        Probe lost, other;
        probe_open_reader(&other, ctx);
        int copy = leave_stale(ctx, &lost);
        fault_arm(faults[i].call, 1, FAULT_ALWAYS, faults[i].error);
        probe_sleep(ctx, 200);
        assert_in_range(fault_count(FAULT_EPOLL_WAIT) + fault_count(FAULT_EPOLL_PWAIT2), 0, 60);
        for (int n = 1; n <= 3; n++) {
            probe_ping(&other);
            while (other.reads < n) {
                assert_true(drive(ctx, true));
            }
        }
        assert_int_equal(lost.calls, 0);
        fault_reset();
        drive(ctx, false);
        drive(ctx, false);
        assert_in_range(probe_sleep(ctx, 50), 1, 10);
        probe_ping(&other);
        assert_true(drive(ctx, true));
        assert_int_equal(other.reads, 4);
        assert_null(aio_context_take_error(ctx));
        close(copy);
        fixture_close(lost.pair.b);
        probe_close(&other);
        fixture_context_free(ctx);
        assert_true(fixture_handles_left(before));
    }
}

static bool host_is_told(int set)
{
    struct epoll_event event;
    return epoll_wait(set, &event, 1, 0) == 1;
}

static void host_that_waits_by_epoll_is_told_after_the_set_was_replaced(void **state)
{
    (void)state;
    faults_init();
    unsigned before = fixture_open_handles();
    AioContext *ctx = fixture_home();
    const AioPollerOps *ops = ctx->poller->ops;
    if (!ops->handle) {
        aio_context_unref(ctx);
        fixture_skip("this poller has no handle");
    }
    fault_arm(FAULT_EPOLL_CREATE1, 1, 1, EMFILE);
    assert_int_equal(ops->handle(ctx->poller), AIO_HANDLE_NONE);
    AioHandle handle = ops->handle(ctx->poller);
    struct epoll_event event = {.events = EPOLLIN};
    int set = epoll_create1(EPOLL_CLOEXEC);
    assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, (int)handle, &event), 0);
    Probe other;
    probe_open_reader(&other, ctx);
    for (int i = 1; i <= 3; i++) {
        Probe lost;
        int copy = leave_stale(ctx, &lost);
        if (i == 2) { /* at the second attempt */
            fault_arm(FAULT_DUP3, 1, 1, EBUSY);
        }
        unsigned replaced = fault_count(FAULT_DUP3);
        for (int n = 0; n < 4; n++) {
            drive(ctx, false);
        }
        assert_int_equal(fault_count(FAULT_DUP3), replaced + (i == 2 ? 2 : 1));
        assert_false(host_is_told(set));
        probe_ping(&other);
        assert_true(host_is_told(set));
        assert_true(drive(ctx, false));
        assert_int_equal(other.reads, i);
        assert_false(host_is_told(set));
        aio_notify(ctx);
        assert_int_equal(ops->handle(ctx->poller), handle);
        drive(ctx, false);
        close(copy);
        fixture_close(lost.pair.b);
    }
    close(set);
    probe_close(&other);
    fault_reset();
    fixture_context_free(ctx);
    assert_true(fixture_handles_left(before));
}

/* The sweep: each call of a small life of a context fails in turn. */

typedef struct Life {
    AioContext *ctx;
    Probe reader, writer, late;
    AioTimer timer;
    int bhs, timers;
    int error; /* what is injected */
} Life;

static void count_call(void *opaque)
{
    ++*(int *)opaque;
}

static void schedule_elsewhere(void *opaque)
{
    Life *life = opaque;
    aio_bh_schedule_oneshot(life->ctx, count_call, &life->bhs);
    probe_set(&life->late, PROBE_READ | PROBE_ERROR, 0);
}

/* A handler that the system refused was told so, and is served once it is set again. */
static void check_served(Life *life, Probe *probe, unsigned callbacks, const int *calls)
{
    for (int i = 0; i < 20 && *calls == 0 && probe->errors == 0; i++) {
        drive(life->ctx, false);
    }
    if (probe->errors > 0) {
        assert_int_equal(probe->errors, 1);
        assert_int_equal(probe->error, -life->error);
        probe_set(probe, callbacks, 0);
        for (int i = 0; i < 20 && *calls == 0; i++) {
            drive(life->ctx, false);
        }
    }
    assert_true(*calls > 0);
}

static void live(Life *life)
{
    aio_context_bind(life->ctx);
    probe_set(&life->reader, PROBE_READ | PROBE_ERROR, 0);
    probe_set(&life->writer, PROBE_WRITE | PROBE_ERROR, 0);
    aio_timer_init(life->ctx, &life->timer, AIO_CLOCK_REALTIME, AIO_SCALE_MS, count_call,
                   &life->timers);
    aio_timer_mod(&life->timer, 0);
    fixture_thread_join(fixture_thread_start(schedule_elsewhere, life));
    for (int i = 0; i < 20 && (life->bhs == 0 || life->timers == 0); i++) {
        drive(life->ctx, true);
    }
    assert_int_equal(life->bhs, 1);
    assert_int_equal(life->timers, 1);
    check_served(life, &life->reader, PROBE_READ | PROBE_ERROR, &life->reader.reads);
    check_served(life, &life->writer, PROBE_WRITE | PROBE_ERROR, &life->writer.writes);
    check_served(life, &life->late, PROBE_READ | PROBE_ERROR, &life->late.reads);
    probe_remove(&life->reader);
    probe_remove(&life->writer);
    probe_remove(&life->late);
    aio_timer_mod(&life->timer, aio_clock_get_ms(AIO_CLOCK_REALTIME) + 2);
    while (life->timers == 1) { /* asleep */
        drive(life->ctx, true);
    }
    FixtureThread *thread = fixture_thread_start(notify_later, life->ctx);
    drive(life->ctx, true);
    fixture_thread_join(thread);
}

/* Returns whether the n-th call was made, and failed. */
static bool live_with(FaultCall call, unsigned n, int error, bool lasting)
{
    Life life = {.error = error};
    Probe *probes[] = {&life.reader, &life.writer, &life.late};
    unsigned before = fixture_open_handles();
    for (int i = 0; i < 3; i++) {
        probe_open(probes[i], NULL);
        probe_ping(probes[i]);
        probes[i]->keep = true; /* it is the library's calls that are to fail */
    }
    AioContextOptions options = {.size = sizeof(options), .poller = fixture_poller()};
    AioError *failure = NULL;
    fault_reset();
    fault_arm(call, n, lasting ? FAULT_ALWAYS : 1, error);
    life.ctx = aio_context_new_with_options(&options, &failure);
    if (life.ctx) {
        for (int i = 0; i < 3; i++) {
            probes[i]->ctx = life.ctx;
        }
        live(&life);
        failure = aio_context_take_error(life.ctx);
        fixture_context_free(life.ctx);
    } else {
        assert_non_null(failure);
    }
    bool failed = fault_reset() > 0;
    if (failure) {
        assert_true(failed);
        assert_int_equal(aio_error_code(failure), error);
        aio_error_free(failure);
    }
    for (int i = 0; i < 3; i++) {
        fixture_pair_close(&probes[i]->pair);
    }
    assert_true(fixture_handles_left(before));
    return failed;
}

static void each_call_that_fails_costs_no_event_and_no_descriptor(void **state)
{
    (void)state;
    faults_init();
    static const struct {
        FaultCall call;
        int error;
    } faults[] = {
        {FAULT_EPOLL_CREATE1, EMFILE}, {FAULT_EPOLL_CREATE1, ENOMEM}, {FAULT_EPOLL_CTL, ENOMEM},
        {FAULT_EPOLL_CTL, ENOSPC},     {FAULT_EPOLL_WAIT, EINTR},     {FAULT_EPOLL_WAIT, EINVAL},
        {FAULT_EPOLL_PWAIT2, EINTR},   {FAULT_EPOLL_PWAIT2, EINVAL},  {FAULT_EPOLL_PWAIT2, ENOSYS},
        {FAULT_EPOLL_PWAIT2, EPERM},   {FAULT_EVENTFD, EMFILE},       {FAULT_EVENTFD, ENOSYS},
        {FAULT_PIPE, EMFILE},          {FAULT_POLL, EINTR},           {FAULT_POLL, ENOMEM},
        {FAULT_POLL, EINVAL},          {FAULT_READ, EINTR},           {FAULT_WRITE, EINTR},
    };
    unsigned failures = 0;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        unsigned n = 1;
        while (n < 500 && live_with(faults[i].call, n, faults[i].error, false)) {
            n++;
        }
        assert_true(n < 500); /* it came to an end */
        failures += n - 1;
    }
    assert_true(failures > 10);
    live_with(FAULT_EPOLL_PWAIT2, 1, ENOSYS, true);
    live_with(FAULT_EVENTFD, 1, ENOSYS, true);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(notifier_is_a_pipe_where_the_system_has_no_eventfd),
    cmocka_unit_test(context_is_woken_through_a_pipe),
    cmocka_unit_test(refused_notifier_says_why_and_leaves_nothing),
    cmocka_unit_test(each_call_that_fails_costs_no_event_and_no_descriptor),
    cmocka_unit_test(set_that_cannot_be_replaced_costs_no_event_and_no_spin),
    cmocka_unit_test(host_that_waits_by_epoll_is_told_after_the_set_was_replaced),
};
TEST_MAIN(tests)
