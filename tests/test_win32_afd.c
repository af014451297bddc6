/*
 * Sockets whose requests are with the system while something else happens to them: reset, closed, reused, wanted otherwise,
 * removed.
 *
 * SPDX-License-Identifier: MIT
 */
#define WIN32_LEAN_AND_MEAN
#define _WIN32_WINNT 0x0602
#include <winsock2.h>

#include <windows.h>

#include "tests/probe.h"

static void reset_by_peer(Probe *probe)
{
    struct linger linger = {.l_onoff = 1};
    setsockopt((SOCKET)probe->pair.b, SOL_SOCKET, SO_LINGER, (char *)&linger, sizeof(linger));
    fixture_close(probe->pair.b);
    probe->pair.b = AIO_HANDLE_NONE;
    fixture_sleep_ms(20);
}

/* What the probe's own reader does, too: the error is fetched. */
static void fetch_error(Probe *probe)
{
    char byte;
    fixture_read(probe->pair.a, &byte, 1);
}

static void reader_of_reset_one(Probe *probe, AioContext *ctx)
{
    probe_open(probe, ctx);
    probe_set(probe, PROBE_READ, 0);
    assert_false(drive(ctx, false));
    reset_by_peer(probe);
    assert_true(drive(ctx, true));
    assert_int_equal(probe->reads, 1);
}

static void reset_that_is_left_alone_is_told_once_in_each_call(AioContext *ctx)
{
    Probe probe;
    reader_of_reset_one(&probe, ctx);
    for (int i = 2; i <= 10; i++) {
        assert_true(drive(ctx, i % 2));
        assert_int_equal(probe.reads, i);
    }
    probe_set(&probe, PROBE_READ | PROBE_WRITE, 0);
    assert_true(drive(ctx, true));
    assert_int_equal(probe.reads, 11);
    assert_int_equal(probe.writes, 1);
    probe_set(&probe, PROBE_WRITE, 0);
    for (int i = 2; i <= 5; i++) {
        assert_true(drive(ctx, i % 2));
        assert_int_equal(probe.writes, i);
    }
    probe_close(&probe);
}

static void handler_set_again_for_a_reset_socket_is_told_of_it(AioContext *ctx)
{
    Probe probe;
    reader_of_reset_one(&probe, ctx);
    for (int i = 2; i <= 5; i++) {
        probe_set(&probe, PROBE_READ, 0);
        assert_true(drive(ctx, false));
        assert_int_equal(probe.reads, i);
    }
    probe_remove(&probe);
    probe_set(&probe, PROBE_READ, 0);
    assert_true(drive(ctx, false));
    assert_int_equal(probe.reads, 6);
    probe_close(&probe);
}

static void reset_that_was_read_before_anybody_was_told_is_told(AioContext *ctx)
{
    Probe probe = {.calls = 0};
    probe_open(&probe, ctx);
    reset_by_peer(&probe);
    fetch_error(&probe);
    probe_set(&probe, PROBE_READ, 0);
    assert_true(drive(ctx, false));
    assert_int_equal(probe.reads, 1);
    probe_close(&probe);
}

/* Close the handler's end, and open a pair whose end gets its number, as the system does sooner or later. */
static void close_and_reuse(Probe *probe)
{
    enum { TRIES = 200 };
    static FixturePair others[TRIES];
    int n = 0;
    AioHandle old = probe->pair.a;
    fixture_close(old);
    fixture_close(probe->pair.b);
    FixturePair pair = fixture_pair();
    while (pair.a != old && pair.b != old && n < TRIES) {
        others[n++] = pair;
        pair = fixture_pair();
    }
    assert_true(pair.a == old || pair.b == old);
    probe->pair = pair.a == old ? pair : (FixturePair){.a = pair.b, .b = pair.a};
    while (n > 0) {
        fixture_pair_close(&others[--n]);
    }
}

static void socket_that_gets_the_number_of_a_reset_one_is_well(AioContext *ctx)
{
    const unsigned callbacks[] = {PROBE_READ, PROBE_READ | PROBE_WRITE, PROBE_WRITE};
    for (size_t i = 0; i < 3; i++) {
        Probe probe;
        reader_of_reset_one(&probe, ctx);
        close_and_reuse(&probe);
        probe.reads = 0;
        probe_set(&probe, callbacks[i], 0);
        bool writes = callbacks[i] & PROBE_WRITE;
        assert_int_equal(drive(ctx, false), writes);
        assert_int_equal(probe.writes, writes);
        assert_int_equal(probe.reads, 0);
        if (callbacks[i] & PROBE_READ) {
            probe_ping(&probe);
            assert_true(drive(ctx, false));
            assert_int_equal(probe.reads, 1);
        }
        probe_close(&probe);
    }
}

static void socket_that_gets_the_number_of_another_is_found_at_once(AioContext *ctx)
{
    const unsigned callbacks[] = {PROBE_READ, PROBE_READ | PROBE_WRITE};
    for (size_t from = 0; from < 2; from++) {
        for (size_t to = 0; to < 2; to++) {
            Probe probe = {.calls = 0};
            probe_open(&probe, ctx);
            probe_set(&probe, callbacks[from], 0);
            assert_int_equal(drive(ctx, false), from);
            assert_int_equal(drive(ctx, false), from);
            close_and_reuse(&probe);
            probe_set(&probe, callbacks[to], 0);
            probe_ping(&probe);
            assert_true(drive(ctx, false));
            assert_int_equal(probe.reads, 1);
            assert_null(aio_context_take_error(ctx));
            probe_close(&probe);
        }
    }
}

static HANDLE duplicate(AioHandle handle)
{
    HANDLE self = GetCurrentProcess(), copy = NULL;
    assert_true(
        DuplicateHandle(self, (HANDLE)handle, self, &copy, 0, FALSE, DUPLICATE_SAME_ACCESS));
    return copy;
}

/* A socket is not closed, and its request is not answered, before its duplicate is. */
static void socket_that_gets_the_number_of_one_with_a_duplicate_is_found(AioContext *ctx)
{
    const unsigned callbacks[] = {PROBE_READ, PROBE_READ | PROBE_WRITE};
    for (size_t to = 0; to < 2; to++) {
        Probe probe = {.calls = 0};
        probe_open(&probe, ctx);
        fixture_fill(probe.pair.a);
        probe_set(&probe, PROBE_READ | PROBE_WRITE, 0);
        assert_false(drive(ctx, false));
        HANDLE low = CreateEventW(NULL, FALSE, FALSE, NULL); /* a number that a pair needs */
        HANDLE a = duplicate(probe.pair.a), b = duplicate(probe.pair.b);
        CloseHandle(low);
        close_and_reuse(&probe);
        probe_set(&probe, callbacks[to], 0);
        probe_ping(&probe);
        assert_true(drive(ctx, false));
        assert_int_equal(probe.reads, 1);
        fixture_close((AioHandle)a);
        fixture_close((AioHandle)b);
        assert_null(aio_context_take_error(ctx));
        probe_close(&probe);
    }
}

static void empty(AioHandle handle)
{
    static char buffer[65536];
    while (fixture_read(handle, buffer, sizeof(buffer)) > 0) {
        continue;
    }
}

/* The request in the system is for room, too; there is some before there is something to read. */
static void reader_that_wanted_to_write_is_found_ready_at_once(AioContext *ctx)
{
    Probe probe = {.calls = 0};
    probe_open(&probe, ctx);
    fixture_fill(probe.pair.a);
    probe_set(&probe, PROBE_READ | PROBE_WRITE, 0);
    assert_false(drive(ctx, false));
    probe_set(&probe, PROBE_READ, 0);
    for (int i = 0; i < 20; i++) {
        empty(probe.pair.b);
        fixture_sleep_ms(5);
    }
    probe_ping(&probe);
    assert_true(drive(ctx, false));
    assert_int_equal(probe.reads, 1);
    probe_close(&probe);
}

static void many_that_are_removed_do_not_hide_one_that_is_ready(AioContext *ctx)
{
    enum { N = 300 };
    static Probe removed[N];
    Probe ready;
    probe_open_reader(&ready, ctx);
    for (int i = 0; i < N; i++) {
        removed[i] = (Probe){.calls = 0};
        probe_open_reader(&removed[i], ctx);
    }
    assert_false(drive(ctx, false));
    for (int i = 0; i < N; i++) {
        probe_remove(&removed[i]);
    }
    probe_ping(&ready);
    assert_true(drive(ctx, false));
    assert_int_equal(ready.reads, 1);
    for (int i = 0; i < N; i++) {
        assert_int_equal(removed[i].reads, 0);
        probe_close(&removed[i]);
    }
    probe_close(&ready);
}

static void contexts_that_end_after_removals_in_every_state_leave_nothing(void **state)
{
    (void)state;
    enum { N = 5 };
    unsigned before = 0;
    for (int i = 0; i < 100; i++) {
        AioContext *ctx = fixture_home();
        Probe probes[N];
        before = i == 10 ? fixture_open_handles() : before;
        for (int j = 0; j < N; j++) {
            probes[j] = (Probe){.calls = 0};
            probe_open_reader(&probes[j], ctx);
        }
        reset_by_peer(&probes[0]);
        drive(ctx, false);
        probe_remove(&probes[1]);                           /* cancelled */
        probe_set(&probes[2], PROBE_READ | PROBE_WRITE, 0); /* and wanted again */
        probe_remove(&probes[3]);
        probe_set(&probes[3], PROBE_READ, 0); /* two requests of one socket */
        probe_ping(&probes[4]);               /* answered */
        for (int j = 0; j < N; j++) {
            probe_remove(&probes[j]);
        }
        aio_context_unref(ctx);
        for (int j = 0; j < N; j++) {
            fixture_pair_close(&probes[j].pair);
        }
    }
    assert_true(fixture_handles_left(before + 5));
}

typedef struct Remover {
    Probe *probe;
    atomic_bool gone;
} Remover;

static void remove_later(void *opaque)
{
    Remover *remover = opaque;
    fixture_sleep_ms(30);
    aio_handler_remove_wait(remover->probe->ctx, remover->probe->pair.a, fixture_pair_kind());
    atomic_store(&remover->gone, true);
    aio_notify(remover->probe->ctx);
}

static void removal_that_waits_is_over_while_the_loop_sleeps(AioContext *ctx)
{
    for (int i = 0; i < 5; i++) {
        Probe probe = {.calls = 0};
        Remover remover = {.probe = &probe};
        probe_open_reader(&probe, ctx);
        FixtureThread *thread = fixture_thread_start(remove_later, &remover);
        assert_false(drive(ctx, true));
        assert_true(atomic_load(&remover.gone));
        fixture_thread_join(thread);
        probe_close(&probe);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(reset_that_is_left_alone_is_told_once_in_each_call),
    cmocka_unit_test_home(handler_set_again_for_a_reset_socket_is_told_of_it),
    cmocka_unit_test_home(reset_that_was_read_before_anybody_was_told_is_told),
    cmocka_unit_test_home(socket_that_gets_the_number_of_a_reset_one_is_well),
    cmocka_unit_test_home(socket_that_gets_the_number_of_another_is_found_at_once),
    cmocka_unit_test_home(socket_that_gets_the_number_of_one_with_a_duplicate_is_found),
    cmocka_unit_test_home(reader_that_wanted_to_write_is_found_ready_at_once),
    cmocka_unit_test_home(many_that_are_removed_do_not_hide_one_that_is_ready),
    cmocka_unit_test(contexts_that_end_after_removals_in_every_state_leave_nothing),
    cmocka_unit_test_home(removal_that_waits_is_over_while_the_loop_sleeps),
};
TEST_MAIN(tests)
