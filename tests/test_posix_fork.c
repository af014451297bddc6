/*
 * A child of fork(2) with a context whose workers stayed with its parent: it drops its references, and the parent
 * does not notice.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "tests/fixture_file.h"

#include <sys/wait.h>
#include <unistd.h>

#include "tests/file_help.h"
#include "tests/pool_help.h"

enum { CHILD_WELL = 7, CHILD_LEAKED = 8 };

/* Of the leak sanitizer, where there is one: whether memory is left that nothing points to. */
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static bool leaks(void)
{
    return __lsan_do_recoverable_leak_check && __lsan_do_recoverable_leak_check();
}

/* What became of a child that drops the reference. */
static int unref_in_child(AioContext *ctx, bool check_leaks)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(20);
        aio_context_unref(ctx);
        _exit(check_leaks && leaks() ? CHILD_LEAKED : CHILD_WELL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* As many workers as jobs, each of which has done its job. */
static void use_workers(AioContext *ctx, int count)
{
    PoolJob jobs[4];
    atomic_int gate = 0;
    assert_true(aio_thread_pool_set_bounds(aio_get_thread_pool(ctx), count, count, NULL));
    for (int i = 0; i < count; i++) {
        jobs[i] = (PoolJob){.gate = &gate};
        pool_submit(ctx, &jobs[i]);
    }
    atomic_store(&gate, 1);
    for (int i = 0; i < count; i++) {
        pool_wait(ctx, &jobs[i]);
    }
}

static void child_drops_a_context_with_idle_workers(AioContext *ctx)
{
    use_workers(ctx, 4);
    fixture_sleep_ms(50); /* to be idle; the test is right, too, where they are not yet */
    assert_int_equal(unref_in_child(ctx, true), CHILD_WELL);
    use_workers(ctx, 4);
}

static void child_drops_a_context_that_had_files(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context();
    FixtureFile fixture = fixture_file(0);
    AioFile *file = file_open_ok(ctx, fixture.path, RW);
    assert_int_equal(file_write(ctx, file, "once", 4, 0, 0), 4);
    aio_file_close(file);
    fixture_sleep_ms(50);
    assert_int_equal(unref_in_child(ctx, true), CHILD_WELL);
    file = file_open_ok(ctx, fixture.path, RW);
    assert_int_equal(file_write(ctx, file, "more", 4, 4, 0), 4);
    aio_file_close(file);
    fixture_context_free(ctx);
    fixture_file_remove(&fixture);
}

static void child_drops_a_context_with_work_in_flight(AioContext *ctx)
{
    atomic_int gate = 0, order = 0;
    PoolJob busy = {.gate = &gate, .order = &order}, queued = {.gate = &gate};
    assert_true(aio_thread_pool_set_bounds(aio_get_thread_pool(ctx), 1, 1, NULL));
    pool_submit(ctx, &busy);
    pool_submit(ctx, &queued);
    while (!atomic_load(&order)) {
        fixture_sleep_ms(1);
    }
    assert_int_equal(unref_in_child(ctx, false), CHILD_WELL);
    atomic_store(&gate, 1);
    pool_wait(ctx, &busy);
    pool_wait(ctx, &queued);
    assert_int_equal(busy.result, 0);
    assert_int_equal(queued.result, 0);
}

static void child_may_be_made_while_workers_come_and_go(AioContext *ctx)
{
    enum { FORKS = 20, JOBS = 8 };
    use_workers(ctx, 4);
    for (unsigned i = 0; i < FORKS * fixture_long(); i++) {
        PoolJob jobs[JOBS] = {{0}};
        for (int n = 0; n < JOBS; n++) {
            pool_submit(ctx, &jobs[n]);
        }
        assert_int_equal(unref_in_child(ctx, false), CHILD_WELL);
        for (int n = 0; n < JOBS; n++) {
            pool_wait(ctx, &jobs[n]);
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(child_drops_a_context_with_idle_workers),
    cmocka_unit_test(child_drops_a_context_that_had_files),
    cmocka_unit_test_home(child_drops_a_context_with_work_in_flight),
    cmocka_unit_test_home(child_may_be_made_while_workers_come_and_go),
};
TEST_MAIN(tests)
