/*
 * Handlers to test with: see probe.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/probe.h"

static void call(ProbeHook *hook, Probe *probe)
{
    if (hook) {
        hook(probe);
    }
}

static void on_read(void *opaque)
{
    Probe *probe = opaque;
    char buffer[256];
    probe->reads++;
    if (probe->calls++ == 0) {
        probe->first = 'r';
    }
    while (!probe->keep && fixture_read(probe->pair.a, buffer, sizeof(buffer)) > 0) {
        continue;
    }
    call(probe->on_read, probe);
}

static void on_write(void *opaque)
{
    Probe *probe = opaque;
    probe->writes++;
    if (probe->calls++ == 0) {
        probe->first = 'w';
    }
    call(probe->on_write, probe);
}

static bool on_poll(void *opaque)
{
    Probe *probe = opaque;
    probe->polls++;
    call(probe->on_poll, probe);
    return probe->found;
}

static void on_ready(void *opaque)
{
    Probe *probe = opaque;
    probe->readies++;
    call(probe->on_ready, probe);
}

static void on_begin(void *opaque)
{
    ((Probe *)opaque)->begins++;
}

static void on_end(void *opaque)
{
    ((Probe *)opaque)->ends++;
}

static void on_error(void *opaque, int error)
{
    Probe *probe = opaque;
    probe->errors++;
    probe->error = error;
    call(probe->on_error, probe);
}

void probe_open(Probe *probe, AioContext *ctx)
{
    *probe = (Probe){.ctx = ctx, .pair = fixture_pair()};
}

void probe_set(Probe *probe, unsigned callbacks, unsigned flags)
{
    AioHandlerOps ops = {
        .size = sizeof(ops),
        .read = callbacks & PROBE_READ ? on_read : NULL,
        .write = callbacks & PROBE_WRITE ? on_write : NULL,
        .poll = callbacks & PROBE_POLL ? on_poll : NULL,
        .poll_ready = callbacks & PROBE_READY ? on_ready : NULL,
        .poll_begin = callbacks & PROBE_BRACKETS ? on_begin : NULL,
        .poll_end = callbacks & PROBE_BRACKETS ? on_end : NULL,
        .error = callbacks & PROBE_ERROR ? on_error : NULL,
    };
    AioError *error = NULL;
    assert_true(aio_handler_set(probe->ctx, probe->pair.a, fixture_pair_kind(), flags, &ops, probe,
                                &error));
    assert_null(error);
}

void probe_open_reader(Probe *probe, AioContext *ctx)
{
    probe_open(probe, ctx);
    probe_set(probe, PROBE_READ, 0);
}

void probe_ping(Probe *probe)
{
    assert_int_equal(fixture_write(probe->pair.b, "x", 1), 1);
}

void probe_remove(Probe *probe)
{
    aio_handler_remove(probe->ctx, probe->pair.a, fixture_pair_kind());
}

void probe_close(Probe *probe)
{
    probe_remove(probe);
    fixture_pair_close(&probe->pair);
}

typedef struct Alarm {
    AioContext *ctx;
    unsigned ms;
    atomic_bool rang;
} Alarm;

static void ring(void *opaque)
{
    Alarm *alarm = opaque;
    fixture_sleep_ms(alarm->ms);
    atomic_store(&alarm->rang, true);
    aio_notify(alarm->ctx);
}

uint64_t probe_sleep(AioContext *ctx, unsigned ms)
{
    Alarm alarm = {.ctx = ctx, .ms = ms};
    uint64_t waits = probe_counters(ctx).waits;
    FixtureThread *thread = fixture_thread_start(ring, &alarm);
    bool progress = drive(ctx, true);
    bool rang = atomic_load(&alarm.rang);
    fixture_thread_join(thread);
    assert_false(progress);
    assert_true(rang);
    return probe_counters(ctx).waits - waits;
}

static AioContextInfo info(AioContext *ctx)
{
    AioContextInfo now = {.size = sizeof(now)};
    aio_context_info(ctx, &now);
    return now;
}

AioContextCounters probe_counters(AioContext *ctx)
{
    return info(ctx).counters;
}

uint64_t probe_handlers(AioContext *ctx)
{
    return info(ctx).handlers;
}

void probe_expect_error(AioContext *ctx, int code, const char *text)
{
    AioError *error = aio_context_take_error(ctx);
    assert_non_null(error);
    assert_int_equal(aio_error_code(error), code);
    if (!strstr(aio_error_message(error), text)) {
        print_error("\"%s\" is not in \"%s\"\n", text, aio_error_message(error));
        fail();
    }
    aio_error_free(error);
}
