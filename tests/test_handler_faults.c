/*
 * Handlers where memory is refused: each request in turn, and nothing is lost but the one registration.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

#include <errno.h>

#include "core/alloc.h"
#include "tests/probe.h"

enum { N = 40 }; /* enough for tables and arrays to grow on the way */

static void read_once(void *opaque)
{
    Probe *probe = opaque;
    char byte;
    probe->reads++;
    fixture_read(probe->pair.a, &byte, 1);
}

static void note_error(void *opaque, int error)
{
    ((Probe *)opaque)->error = error;
}

/* Register all, the n-th request for memory being refused; returns whether there was an n-th. */
static bool register_all(AioContext *ctx, Probe *probes, unsigned n)
{
    AioHandlerOps ops = {.size = sizeof(ops), .read = read_once, .error = note_error};
    aio__alloc_fail_at(n);
    for (int i = 0; i < N; i++) {
        AioError *error = NULL;
        probe_open(&probes[i], ctx);
        if (!aio_handler_set(ctx, probes[i].pair.a, fixture_pair_kind(), 0, &ops, &probes[i],
                             &error)) {
            assert_int_equal(aio_error_code(error), ENOMEM);
            aio_error_free(error);
            probes[i].error = -ENOMEM;
        }
    }
    while (drive(ctx, false)) { /* a poller tells of its failures here */
        continue;
    }
    bool failed = aio__alloc_failed();
    aio__alloc_fail_at(0);
    return failed;
}

/* Everything else works, and what failed works at the second attempt. */
static void check_all(Probe *probes)
{
    int failures = 0;
    for (int i = 0; i < N; i++) {
        if (probes[i].error) {
            assert_int_equal(probes[i].error, -ENOMEM);
            failures++;
            probe_set(&probes[i], PROBE_READ, 0);
        }
    }
    assert_in_range(failures, 0, 1);
    for (int i = 0; i < N; i++) {
        probe_ping(&probes[i]);
        assert_true(drive(probes[i].ctx, i % 2));
        assert_int_equal(probes[i].reads, 1);
        probe_close(&probes[i]);
    }
    assert_int_equal(probe_handlers(probes[0].ctx), 0);
}

static void each_refused_request_costs_one_registration_at_most(void **state)
{
    (void)state;
    Probe probes[N];
    bool failed = true;
    unsigned n;
    for (n = 1; failed; n++) {
        AioContext *ctx = fixture_home();
        failed = register_all(ctx, probes, n);
        check_all(probes);
        aio_error_free(aio_context_take_error(ctx));
        fixture_context_free(ctx);
    }
    assert_true(n > N);
}

typedef struct Foreign {
    AioContext *ctx;
    Probe *probes;
    unsigned n;
    bool failed;
} Foreign;

static void register_elsewhere(void *opaque)
{
    Foreign *foreign = opaque;
    AioHandlerOps ops = {.size = sizeof(ops), .read = read_once, .error = note_error};
    aio__alloc_fail_at(foreign->n);
    for (int i = 0; i < N; i++) {
        Probe *probe = &foreign->probes[i];
        if (!aio_handler_set(foreign->ctx, probe->pair.a, fixture_pair_kind(), 0, &ops, probe,
                             NULL)) {
            probe->error = -ENOMEM;
        }
    }
    foreign->failed = aio__alloc_failed();
    aio__alloc_fail_at(0);
}

static void each_refused_request_of_another_thread_costs_one_registration_at_most(void **state)
{
    (void)state;
    Probe probes[N];
    Foreign foreign = {.probes = probes, .failed = true};
    for (unsigned n = 1; foreign.failed; n++) {
        foreign.ctx = fixture_home();
        foreign.n = n;
        for (int i = 0; i < N; i++) {
            probe_open(&probes[i], foreign.ctx);
        }
        fixture_thread_join(fixture_thread_start(register_elsewhere, &foreign));
        check_all(probes);
        fixture_context_free(foreign.ctx);
    }
}

static void remove_elsewhere(void *opaque)
{
    Foreign *foreign = opaque;
    aio__alloc_fail_at(1);
    aio_handler_remove_wait(foreign->ctx, foreign->probes[0].pair.a, fixture_pair_kind());
    foreign->failed = aio__alloc_failed();
    aio_notify(foreign->ctx);
}

static void removal_that_waits_does_without_memory_for_a_moment(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Probe a;
    Foreign foreign = {.ctx = ctx, .probes = &a};
    probe_open_reader(&a, ctx);
    FixtureThread *thread = fixture_thread_start(remove_elsewhere, &foreign);
    assert_false(drive(ctx, true));
    fixture_thread_join(thread);
    aio__alloc_fail_at(0);
    assert_true(foreign.failed);
    assert_int_equal(probe_handlers(ctx), 0);
    fixture_pair_close(&a.pair);
    fixture_context_free(ctx);
}

static void remove_without_memory(void *opaque)
{
    Foreign *foreign = opaque;
    aio__alloc_fail_at(1);
    probe_remove(&foreign->probes[0]);
    aio__alloc_fail_at(0);
}

static void removal_of_another_thread_that_fails_is_recorded(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Probe a;
    char number[32];
    Foreign foreign = {.ctx = ctx, .probes = &a};
    probe_open_reader(&a, ctx);
    snprintf(number, sizeof(number), "%d", (int)a.pair.a);
    fixture_thread_join(fixture_thread_start(remove_without_memory, &foreign));
    probe_expect_error(ctx, ENOMEM, number);
    assert_int_equal(probe_handlers(ctx), 1);
    aio__alloc_fail_at(1);
    probe_remove(&a); /* at home it needs none */
    assert_int_equal(probe_handlers(ctx), 0);
    aio_set_fd_handler(ctx, (int)a.pair.a, false, read_once, NULL, NULL, &a);
    aio__alloc_fail_at(0);
    probe_expect_error(ctx, ENOMEM, number);
    assert_int_equal(probe_handlers(ctx), 0);
    fixture_pair_close(&a.pair);
    fixture_context_free(ctx);
}

static void former_handler_stands_where_memory_for_another_is_refused(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context(); /* not bound: changes are queued */
    Probe a, b;
    AioHandlerOps ops = {.size = sizeof(ops), .read = read_once};
    probe_open_reader(&a, ctx);
    b = (Probe){.ctx = ctx, .pair = a.pair};
    for (unsigned n = 1; n <= 2; n++) {
        aio__alloc_fail_at(n);
        assert_false(aio_handler_set(ctx, a.pair.a, fixture_pair_kind(), 0, &ops, &b, NULL));
        aio__alloc_fail_at(0);
    }
    probe_ping(&a);
    assert_true(drive(ctx, false));
    assert_int_equal(a.reads, 1);
    assert_int_equal(b.reads, 0);
    aio__alloc_fail_at(1);
    assert_true(aio_handler_set(ctx, a.pair.a, fixture_pair_kind(), 0, &ops, &b, NULL));
    aio__alloc_fail_at(0);
    probe_ping(&a);
    assert_true(drive(ctx, false)); /* at home a replacement needs no memory */
    assert_int_equal(b.reads, 1);
    probe_close(&a);
    fixture_context_free(ctx);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_refused_request_costs_one_registration_at_most),
    cmocka_unit_test(each_refused_request_of_another_thread_costs_one_registration_at_most),
    cmocka_unit_test(removal_that_waits_does_without_memory_for_a_moment),
    cmocka_unit_test(removal_of_another_thread_that_fails_is_recorded),
    cmocka_unit_test(former_handler_stands_where_memory_for_another_is_refused),
};
TEST_MAIN(tests)
