/*
 * See busy_source.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/busy_source.h"

AioContextCounters counters_of(AioContext *ctx)
{
    AioContextInfo info = {.size = sizeof(info)};
    aio_context_info(ctx, &info);
    return info.counters;
}

int64_t window_of(AioContext *ctx)
{
    AioContextInfo info = {.size = sizeof(info)};
    aio_context_info(ctx, &info);
    return info.poll_window_ns;
}

void fix_window(AioContext *ctx, int64_t window_ns)
{
    AioError *error = NULL;
    aio_context_set_poll_params(ctx, window_ns, 0, 1, &error);
    assert_null(error);
    aio__busy_poll_clock(ctx);
    atomic_store_explicit(&ctx->busy.window_ns, window_ns, memory_order_relaxed);
}

void count(void *opaque)
{
    ++*(int *)opaque;
}

void note(Source *source, char what)
{
    size_t used = strlen(source->log);
    if (used < sizeof(source->log) - 1) {
        source->log[used] = what;
        source->log[used + 1] = '\0';
    }
}

void source_read(void *opaque)
{
    Source *source = opaque;
    char byte;
    note(source, 'r');
    source->read_calls++;
    fixture_read(source->pair.a, &byte, 1);
}

bool source_poll(void *opaque)
{
    Source *source = opaque;
    bool found = false;
    if (++source->looks == 1 || source->log[strlen(source->log) - 1] != 'p') {
        note(source, 'p'); /* repeated looks are one */
    }
    if (source->find_at && source->looks >= source->find_at && source->find != 0) {
        source->find -= source->find > 0;
        found = true;
    }
    if (source->schedule) {
        aio_bh_schedule(source->schedule);
        source->schedule = NULL;
    }
    if (source->at_look) {
        source->at_look(source);
    }
    return found;
}

void source_ready(void *opaque)
{
    Source *source = opaque;
    note(source, '!');
    source->ready_calls++;
    source->depth++;
    if (source->depth > source->deepest) {
        source->deepest = source->depth;
    }
    if (source->nest && source->depth < 10) {
        aio_poll(source->ctx, false);
        aio_bh_schedule_oneshot(source->ctx, count, &source->looks);
        aio_poll(source->ctx, true);
    }
    source->depth--;
}

static void on_begin(void *opaque)
{
    note(opaque, 'b');
}

static void on_end(void *opaque)
{
    Source *source = opaque;
    note(source, 'e');
    if (source->at_end) {
        void (*at_end)(Source *) = source->at_end;
        source->at_end = NULL;
        at_end(source);
    }
}

const AioHandlerOps source_ops = {
    .size = sizeof(AioHandlerOps),
    .read = source_read,
    .poll = source_poll,
    .poll_ready = source_ready,
    .poll_begin = on_begin,
    .poll_end = on_end,
};

void watch(Source *source, const AioHandlerOps *ops)
{
    assert_true(aio_handler_set(source->ctx, source->pair.a, fixture_pair_kind(),
                                source->external ? AIO_HANDLER_EXTERNAL : 0, ops, source, NULL));
}

void unwatch(Source *source)
{
    aio_handler_remove(source->ctx, source->pair.a, fixture_pair_kind());
}

void source_init(Source *source, AioContext *ctx)
{
    *source = (Source){.ctx = ctx, .pair = fixture_pair(), .find = -1};
    aio_context_bind(ctx);
    watch(source, &source_ops);
}

void source_done(Source *source)
{
    unwatch(source);
    fixture_pair_close(&source->pair);
}
