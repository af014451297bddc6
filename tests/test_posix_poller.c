/*
 * Pollers and what POSIX does to descriptors behind their back: closed, duplicated and recycled ones, regular files,
 * limits.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "tests/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/probe.h"

static bool poller_is(AioContext *ctx, const char *name)
{
    AioContextInfo info = {.size = sizeof(info)};
    aio_context_info(ctx, &info);
    return strcmp(info.poller, name) == 0;
}

/* Have the number `fd` mean a new pair's end, as if it had been closed and opened again. */
static void reopen(Probe *probe)
{
    dup2(0, (int)probe->pair.a); /* keep the number from the new pair */
    FixturePair pair = fixture_pair();
    fixture_close(probe->pair.b);
    assert_int_equal(dup2((int)pair.a, (int)probe->pair.a), probe->pair.a);
    fixture_close(pair.a);
    probe->pair.b = pair.b;
}

static int open_regular_file(void)
{
    char name[] = "/tmp/aioctx-test-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    unlink(name);
    return fd;
}

static void descriptor_that_is_not_open_is_told_once(AioContext *ctx)
{
    Probe a;
    char number[32];
    probe_open(&a, ctx);
    snprintf(number, sizeof(number), "%d", (int)a.pair.a);
    close((int)a.pair.a);
    probe_set(&a, PROBE_READ | PROBE_ERROR, 0);
    assert_int_equal(a.errors, 0); /* never from inside the call */
    assert_true(drive(ctx, true)); /* the error callback is a callback of the handler */
    assert_int_equal(a.errors, 1);
    assert_int_equal(a.error, -EBADF);
    probe_expect_error(ctx, EBADF, number);
    assert_false(drive(ctx, false));
    assert_in_range(probe_sleep(ctx, 100), 1, 10);
    assert_int_equal(a.errors, 1);
    assert_int_equal(a.calls, 0);
    assert_int_equal(probe_handlers(ctx), 1); /* out of service, and still there to be removed */
    reopen(&a);
    probe_set(&a, PROBE_READ | PROBE_ERROR, 0); /* in service again */
    probe_ping(&a);
    assert_true(drive(ctx, false));
    assert_int_equal(a.reads, 1);
    assert_int_equal(a.errors, 1);
    assert_null(aio_context_take_error(ctx));
    probe_close(&a);
}

static void look_inside(Probe *probe)
{
    drive(probe->ctx, false);
}

static void failure_that_the_outer_iteration_found_is_told_by_the_inner(AioContext *ctx)
{
    Probe a, b;
    probe_open_reader(&a, ctx);
    probe_open(&b, ctx);
    a.on_read = look_inside;
    probe_set(&b, PROBE_READ | PROBE_ERROR, 0);
    assert_false(drive(ctx, false));
    close((int)b.pair.a);
    probe_set(&b, PROBE_READ | PROBE_WRITE | PROBE_ERROR, 0); /* so that every poller notices */
    probe_ping(&a);
    assert_true(drive(ctx, true));
    assert_int_equal(b.errors, 1);
    assert_false(drive(ctx, false));
    assert_int_equal(b.errors, 1);
    probe_expect_error(ctx, EBADF, "can't be watched");
    probe_close(&a);
    probe_remove(&b);
    fixture_close(b.pair.b);
}

static void failed_handler_can_be_removed_before_it_was_told(AioContext *ctx)
{
    Probe a, b;
    probe_open(&a, ctx);
    probe_open(&b, ctx);
    close((int)a.pair.a);
    probe_set(&a, PROBE_READ | PROBE_ERROR, 0);
    probe_remove(&a);
    probe_set(&b, PROBE_READ, 0); /* perhaps in the memory of the former */
    drive(ctx, false);
    assert_int_equal(a.errors + b.calls, 0);
    probe_set(&a, PROBE_READ | PROBE_ERROR, 0);
    probe_set(&a, PROBE_POLL, 0); /* no longer waited for: there is nothing to tell */
    drive(ctx, false);
    assert_int_equal(a.errors, 0);
    probe_remove(&a);
    fixture_close(a.pair.b);
    assert_null(aio_context_take_error(ctx));
    probe_close(&b);
}

static void closed_descriptor_neither_spins_nor_calls_back(AioContext *ctx)
{
    Probe a;
    probe_open(&a, ctx);
    probe_set(&a, PROBE_READ | PROBE_ERROR, 0);
    drive(ctx, false);
    close((int)a.pair.a);
    drive(ctx, false);
    assert_in_range(probe_sleep(ctx, 200), 1, 10);
    assert_int_equal(a.calls, 0);
    if (poller_is(ctx, "poll")) { /* others are told by the system when they change it, or never */
        assert_int_equal(a.errors, 1);
    }
    probe_set(&a, PROBE_READ | PROBE_WRITE | PROBE_ERROR, 0);
    assert_true(drive(ctx, true));
    assert_int_equal(a.errors, poller_is(ctx, "poll") ? 2 : 1);
    assert_int_equal(a.error, -EBADF);
    probe_expect_error(ctx, EBADF, "can't be watched");
    probe_remove(&a);
    fixture_close(a.pair.b);
}

/* A second descriptor keeps the file open that the handler's one was for. */
static void dup_case(bool close_first)
{
    AioContext *ctx = fixture_home();
    Probe a, other;
    probe_open_reader(&a, ctx);
    probe_open_reader(&other, ctx);
    drive(ctx, false);
    int copy = dup((int)a.pair.a);
    assert_true(copy >= 0);
    if (close_first) {
        close((int)a.pair.a);
        probe_remove(&a);
    } else {
        probe_remove(&a);
        close((int)a.pair.a);
    }
    probe_ping(&a);
    assert_in_range(probe_sleep(ctx, 200), 1, 10);
    assert_int_equal(a.calls, 0);
    probe_ping(&other);
    assert_true(drive(ctx, true));
    assert_int_equal(other.reads, 1);
    assert_in_range(probe_sleep(ctx, 50), 1, 10);
    close(copy);
    fixture_close(a.pair.b);
    probe_close(&other);
    fixture_context_free(ctx);
}

static void duplicate_of_a_removed_descriptor_wakes_nothing(void **state)
{
    (void)state;
    dup_case(false);
    dup_case(true);
}

static void duplicate_that_stays_registered_costs_no_cpu_out_of_descriptors(AioContext *ctx)
{
    Probe a, other;
    probe_open_reader(&a, ctx);
    probe_open_reader(&other, ctx);
    drive(ctx, false);
    int copy = dup((int)a.pair.a);
    close((int)a.pair.a);
    probe_remove(&a);
    int filler = open("/dev/null", O_RDONLY); /* takes the number that was closed */
    assert_true(filler >= 0);
    int next = dup(filler);
    close(next);
    if (!fixture_limit_handles((unsigned)next)) {
        fixture_skip("descriptors can't be limited here");
    }
    probe_ping(&a);
    int64_t cpu = fixture_cpu_ns();
    probe_sleep(ctx, 300);
    assert_true(fixture_cpu_ns() - cpu < 150000000);
    probe_ping(&other);
    while (other.reads == 0) { /* the others are served */
        assert_true(drive(ctx, true));
    }
    fixture_limit_handles(0);
    drive(ctx, false);
    drive(ctx, false);
    assert_in_range(probe_sleep(ctx, 100), 1, 10);
    close(filler);
    close(copy);
    fixture_close(a.pair.b);
    probe_close(&other);
}

static void recycled_descriptor_is_served_once_it_is_registered_again(AioContext *ctx)
{
    Probe a;
    probe_open_reader(&a, ctx);
    drive(ctx, false);
    for (int i = 1; i <= 5; i++) { /* without a removal in between */
        reopen(&a);
        probe_set(&a, PROBE_READ, 0);
        assert_false(drive(ctx, false));
        probe_ping(&a);
        assert_true(drive(ctx, true));
        assert_int_equal(a.reads, i);
    }
    int file = open_regular_file();
    dup2(file, (int)a.pair.a);
    probe_set(&a, PROBE_READ, 0);
    assert_true(drive(ctx, true)); /* a regular file is always ready */
    assert_int_equal(a.reads, 6);
    assert_true(drive(ctx, true));
    assert_int_equal(a.reads, 7);
    reopen(&a);
    probe_set(&a, PROBE_READ, 0);
    assert_false(drive(ctx, false));
    probe_ping(&a);
    assert_true(drive(ctx, true));
    assert_int_equal(a.reads, 8);
    close(file);
    probe_close(&a);
}

static void number_used_again_hears_nothing_of_a_duplicate_of_its_former_file(AioContext *ctx)
{
    Probe a;
    char buffer[16];
    probe_open_reader(&a, ctx);
    assert_false(drive(ctx, false));
    int copy = dup((int)a.pair.a), far = dup((int)a.pair.b);
    reopen(&a);
    probe_set(&a, PROBE_READ, 0);
    assert_int_equal(write(far, "x", 1), 1); /* for the duplicate */
    assert_in_range(probe_sleep(ctx, 50), 1, 10);
    assert_int_equal(a.calls, 0);
    assert_int_equal(read(copy, buffer, sizeof(buffer)), 1);
    probe_ping(&a);
    assert_true(drive(ctx, true));
    assert_int_equal(a.reads, 1);
    close(copy);
    close(far);
    probe_close(&a);
}

static void reopen_the_other(Probe *probe)
{
    Probe *other = probe->arg;
    if (other->reads == 0) { /* the first of the two */
        reopen(other);
        probe_set(other, PROBE_READ, 0);
    }
}

static void number_used_again_hears_nothing_of_what_was_found_for_its_former_file(AioContext *ctx)
{
    Probe a, b;
    probe_open_reader(&a, ctx);
    probe_open_reader(&b, ctx);
    a.on_read = b.on_read = reopen_the_other;
    a.arg = &b;
    b.arg = &a;
    probe_ping(&a);
    probe_ping(&b);
    assert_true(drive(ctx, true));
    assert_int_equal(a.reads + b.reads, 1);
    assert_false(drive(ctx, false));
    probe_close(&a);
    probe_close(&b);
}

static void close_after_remove(Probe *probe)
{
    probe_remove(probe);
    fixture_close(probe->pair.a);
    int64_t old = probe->pair.a;
    if (probe->arg) { /* reuse the number at once */
        Probe *next = probe->arg;
        probe_open(next, probe->ctx);
        next->keep = next->pair.a == old || next->pair.b == old;
        probe_set(next, PROBE_READ, 0);
    }
    probe->pair.a = AIO_HANDLE_NONE;
}

static void peer_sees_the_end_when_the_removed_descriptor_is_closed(AioContext *ctx)
{
    Probe a;
    char byte;
    probe_open_reader(&a, ctx);
    assert_false(drive(ctx, false));
    close_after_remove(&a);
    drive(ctx, false);
    assert_int_equal(fixture_read(a.pair.b, &byte, 1), 0);
    fixture_close(a.pair.b);

    Probe b, next;
    probe_open_reader(&b, ctx);
    b.on_read = close_after_remove;
    b.arg = &next;
    probe_ping(&b);
    assert_true(drive(ctx, true));
    drive(ctx, false);
    assert_int_equal(b.reads, 1);
    assert_int_equal(fixture_read(b.pair.b, &byte, 1), 0);
    assert_true(next.keep); /* the number was reused */
    assert_int_equal(next.calls, 0);
    next.keep = false;
    probe_ping(&next);
    assert_true(drive(ctx, true));
    assert_int_equal(next.reads, 1);
    probe_close(&next);
    fixture_close(b.pair.b);
}

static void regular_files_are_always_ready_and_disturb_nobody(void **state)
{
    (void)state;
    enum { N = 100 };
    AioContext *ctx = fixture_home();
    static Probe probes[N];
    Probe file, device;
    for (int i = 0; i < N; i++) {
        probe_open_reader(&probes[i], ctx);
    }
    file = (Probe){.ctx = ctx, .keep = true, .pair = {open_regular_file(), AIO_HANDLE_NONE}};
    device =
        (Probe){.ctx = ctx, .keep = true, .pair = {open("/dev/null", O_RDWR), AIO_HANDLE_NONE}};
    probe_set(&file, PROBE_READ | PROBE_ERROR, 0);
    probe_set(&device, PROBE_READ | PROBE_WRITE, 0);
    for (int i = 0; i < N; i++) {
        probe_ping(&probes[i]);
        assert_true(drive(ctx, i % 2));
        assert_int_equal(probes[i].reads, 1);
        assert_int_equal(file.reads, i + 1);
        assert_int_equal(device.reads, i + 1);
        assert_int_equal(device.writes, i + 1);
    }
    probe_close(&device);
    probe_set(&file, PROBE_WRITE, 0);
    assert_true(drive(ctx, true));
    assert_int_equal(file.reads, N);
    assert_int_equal(file.writes, 1);
    probe_set(&file, PROBE_READ | PROBE_ERROR, 0);
    close((int)file.pair.a);
    assert_true(drive(ctx, true));
    assert_int_equal(file.errors, 1);
    assert_int_equal(file.reads, N);
    probe_expect_error(ctx, EBADF, "can't be watched");
    assert_in_range(probe_sleep(ctx, 100), 1, 10);
    probe_remove(&file);
    for (int i = 0; i < N; i++) {
        probe_close(&probes[i]);
    }
    fixture_context_free(ctx);
}

static void handlers_are_served_though_more_than_the_limit_of_descriptors(AioContext *ctx)
{
    enum { N = 50 };
    Probe probes[N];
    for (int i = 0; i < N; i++) {
        probe_open_reader(&probes[i], ctx);
    }
    drive(ctx, false);
    if (!fixture_limit_handles(20)) {
        fixture_skip("descriptors can't be limited here");
    }
    assert_false(drive(ctx, false));
    for (int i = 0; i < N; i++) {
        probe_ping(&probes[i]);
        assert_true(drive(ctx, i % 2));
        assert_int_equal(probes[i].reads, 1);
    }
    int64_t cpu = fixture_cpu_ns();
    probe_sleep(ctx, 200);
    assert_true(fixture_cpu_ns() - cpu < 100000000);
    assert_null(aio_context_take_error(ctx));
    fixture_limit_handles(0);
    for (int i = 0; i < N; i++) {
        probe_close(&probes[i]);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(descriptor_that_is_not_open_is_told_once),
    cmocka_unit_test_home(failure_that_the_outer_iteration_found_is_told_by_the_inner),
    cmocka_unit_test_home(failed_handler_can_be_removed_before_it_was_told),
    cmocka_unit_test_home(closed_descriptor_neither_spins_nor_calls_back),
    cmocka_unit_test(duplicate_of_a_removed_descriptor_wakes_nothing),
    cmocka_unit_test_home(duplicate_that_stays_registered_costs_no_cpu_out_of_descriptors),
    cmocka_unit_test_home(recycled_descriptor_is_served_once_it_is_registered_again),
    cmocka_unit_test_home(number_used_again_hears_nothing_of_a_duplicate_of_its_former_file),
    cmocka_unit_test_home(number_used_again_hears_nothing_of_what_was_found_for_its_former_file),
    cmocka_unit_test_home(peer_sees_the_end_when_the_removed_descriptor_is_closed),
    cmocka_unit_test(regular_files_are_always_ready_and_disturb_nobody),
    cmocka_unit_test_home(handlers_are_served_though_more_than_the_limit_of_descriptors),
};
TEST_MAIN(tests)
