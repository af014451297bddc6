/*
 * The Counter of bh_help.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/bh_help.h"

void count(void *opaque)
{
    Counter *counter = opaque;
    counter->runs++;
    if (counter->look_at) {
        counter->seen = counter->look_at->runs;
    }
    if (counter->reschedule > 0) {
        counter->reschedule--;
        aio_bh_schedule(counter->bh);
    }
    if (counter->schedule) {
        aio_bh_schedule(counter->schedule);
    }
    if (counter->cancel) {
        aio_bh_cancel(counter->cancel);
    }
    if (counter->delete) {
        AioBh *bh = counter->delete;
        counter->delete = NULL;
        if (bh == counter->bh) {
            counter->bh = NULL;
        }
        aio_bh_delete(bh);
    }
    if (counter->nested) {
        counter->nested = false;
        while (drive(counter->ctx, false)) {
            continue;
        }
    }
}

void counter_init(Counter *counter, AioContext *ctx)
{
    *counter = (Counter){.ctx = ctx};
    counter->bh = aio_bh_new(ctx, count, counter);
    assert_non_null(counter->bh);
}

void counter_done(Counter *counter)
{
    if (counter->bh) {
        aio_bh_delete(counter->bh);
    }
}
