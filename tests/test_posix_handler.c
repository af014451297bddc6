/*
 * Handlers and what only POSIX has: hang-ups and errors without data, kinds of handles, fork, and what a host's own wait
 * does not show.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "tests/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/probe.h"

/* A pipe as a pair: `a` is the end to watch. */
static void pipe_pair(Probe *probe, AioContext *ctx, int end)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    *probe = (Probe){.ctx = ctx, .pair = {fds[end], fds[!end]}};
}

static void close_far_end(Probe *probe)
{
    fixture_close(probe->pair.b);
    probe->pair.b = AIO_HANDLE_NONE;
}

static void pure_hang_up_never_spins_a_writer(AioContext *ctx)
{
    Probe a;
    pipe_pair(&a, ctx, 0); /* the reading end: it is never writable, and hangs up */
    probe_set(&a, PROBE_WRITE, 0);
    assert_false(drive(ctx, false));
    close_far_end(&a);
    assert_false(drive(ctx, false));
    assert_in_range(probe_sleep(ctx, 200), 1, 10);
    assert_int_equal(a.calls, 0);
    probe_set(&a, PROBE_WRITE | PROBE_READ, 0); /* a reader hears it */
    assert_true(drive(ctx, true));
    assert_int_equal(a.reads, 1);
    assert_int_equal(a.writes, 0);
    probe_set(&a, PROBE_WRITE, 0);
    assert_in_range(probe_sleep(ctx, 50), 1, 10);
    probe_close(&a);
}

static void error_calls_read_then_write(AioContext *ctx)
{
    Probe a;
    pipe_pair(&a, ctx, 1);
    fixture_fill(a.pair.a); /* not writable */
    probe_set(&a, PROBE_READ | PROBE_WRITE, 0);
    assert_false(drive(ctx, false));
    close_far_end(&a);
    a.keep = true;
    assert_true(drive(ctx, true));
    assert_int_equal(a.reads, 1);
    assert_int_equal(a.writes, 1);
    assert_int_equal(a.first, 'r');
    probe_set(&a, PROBE_WRITE, 0);
    assert_true(drive(ctx, true));
    assert_int_equal(a.writes, 2);
    probe_set(&a, PROBE_READ, 0);
    assert_true(drive(ctx, true));
    assert_int_equal(a.reads, 2);
    probe_close(&a);
}

static void close_near_end(Probe *probe)
{
    close((int)probe->pair.a);
}

static void register_again(Probe *probe)
{
    FixturePair pair = fixture_pair();
    fixture_close(probe->pair.b);
    if (pair.a != probe->pair.a) {
        assert_int_equal(dup2((int)pair.a, (int)probe->pair.a), probe->pair.a);
        fixture_close(pair.a);
    }
    probe->pair.b = pair.b;
    probe_set(probe, PROBE_READ | PROBE_ERROR, 0);
    probe_ping(probe);
}

static void error_callback_may_register_anew_or_remove(AioContext *ctx)
{
    Probe a;
    probe_open(&a, ctx);
    close_near_end(&a);
    a.on_error = register_again;
    probe_set(&a, PROBE_READ | PROBE_ERROR, 0);
    assert_true(drive(ctx, false));
    assert_int_equal(a.errors, 1);
    assert_true(drive(ctx, false));
    assert_int_equal(a.reads, 1);
    assert_int_equal(a.errors, 1);
    close_near_end(&a);
    a.on_error = probe_remove;
    probe_set(&a, PROBE_READ | PROBE_ERROR, 0);
    assert_true(drive(ctx, false));
    assert_int_equal(a.errors, 2);
    assert_int_equal(probe_handlers(ctx), 0);
    assert_false(drive(ctx, false));
    aio_error_free(aio_context_take_error(ctx));
    fixture_close(a.pair.b);
}

static void remove_and_free(AioContext *ctx, const AioError *error, void *opaque)
{
    Probe **probe = opaque;
    (void)ctx;
    (void)error;
    probe_remove(*probe);
    free(*probe);
    *probe = NULL;
}

static void handler_removed_by_who_is_told_of_errors_is_not_told_itself(AioContext *ctx)
{
    Probe *probe = malloc(sizeof(*probe));
    probe_open(probe, ctx);
    AioHandle far = probe->pair.b;
    close_near_end(probe);
    aio_context_set_error_func(ctx, remove_and_free, &probe);
    probe_set(probe, PROBE_READ | PROBE_ERROR, 0);
    assert_true(drive(ctx, false));
    assert_null(probe);
    assert_int_equal(probe_handlers(ctx), 0);
    aio_context_set_error_func(ctx, NULL, NULL);
    aio_error_free(aio_context_take_error(ctx));
    fixture_close(far);
}

static void objects_are_refused(AioContext *ctx)
{
    AioHandlerOps ops = {.size = sizeof(ops)};
    AioError *error = NULL;
    assert_false(aio_handler_set(ctx, 12345, AIO_HANDLE_OBJECT, 0, &ops, NULL, &error));
    assert_int_equal(aio_error_code(error), ENOTSUP);
    assert_non_null(strstr(aio_error_message(error), "12345"));
    aio_error_free(error);
    error = NULL;
    assert_false(
        aio_handler_set(ctx, (AioHandle)INT32_MAX + 1, AIO_HANDLE_FD, 0, &ops, NULL, &error));
    assert_int_equal(aio_error_code(error), EBADF);
    aio_error_free(error);
}

static void child_of_fork_destroys_its_copy_and_the_parent_goes_on(void **state)
{
    (void)state;
    enum { N = 20 };
    AioContext *ctx = fixture_home();
    Probe probes[N];
    for (int i = 0; i < N; i++) {
        probe_open_reader(&probes[i], ctx);
    }
    drive(ctx, false);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        for (int i = 0; i < N; i++) {
            probe_close(&probes[i]);
        }
        aio_context_unref(ctx);
        _exit(7);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    for (int i = 0; i < N; i++) {
        probe_ping(&probes[i]);
        assert_true(drive(ctx, true));
        assert_int_equal(probes[i].reads, 1);
    }
    assert_in_range(probe_sleep(ctx, 50), 1, 10);
    assert_null(aio_context_take_error(ctx));
    for (int i = 0; i < N; i++) {
        probe_close(&probes[i]);
    }
    fixture_context_free(ctx);
}

/* What a host does that waits elsewhere: whether there was something to dispatch. */
static bool host_iteration(AioContext *ctx)
{
    bool ready = aio_prepare(ctx) || aio_pending(ctx);
    if (ready) {
        aio_dispatch(ctx);
    }
    return ready;
}

static void host_is_told_what_the_system_does_not_report(AioContext *ctx)
{
    Probe a, hung;
    probe_open(&a, ctx);
    close((int)a.pair.a);
    probe_set(&a, PROBE_READ | PROBE_ERROR, 0);
    assert_true(host_iteration(ctx));
    assert_int_equal(a.errors, 1);
    assert_false(host_iteration(ctx));
    probe_remove(&a);
    probe_expect_error(ctx, EBADF, "can't be watched");
    pipe_pair(&hung, ctx, 0);
    probe_set(&hung, PROBE_WRITE, 0);
    close_far_end(&hung);
    host_iteration(ctx);
    uint64_t updates = probe_counters(ctx).interest_updates;
    assert_false(host_iteration(ctx));
    assert_int_equal(probe_counters(ctx).interest_updates, updates);
    assert_int_equal(hung.calls, 0);
    assert_in_range(probe_sleep(ctx, 50), 1, 10); /* it left the poller */
    fixture_close(a.pair.b);
    probe_close(&hung);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(pure_hang_up_never_spins_a_writer),
    cmocka_unit_test_home(error_calls_read_then_write),
    cmocka_unit_test_home(error_callback_may_register_anew_or_remove),
    cmocka_unit_test_home(handler_removed_by_who_is_told_of_errors_is_not_told_itself),
    cmocka_unit_test_home(objects_are_refused),
    cmocka_unit_test(child_of_fork_destroys_its_copy_and_the_parent_goes_on),
    cmocka_unit_test_home(host_is_told_what_the_system_does_not_report),
};
TEST_MAIN(tests)
