/*
 * Stand-ins for modules that have not landed. Whoever lands one deletes its part here; the last one deletes
 * the file and its line in CMakeLists.txt.
 *
 * SPDX-License-Identifier: MIT
 */
#include "aioctx/wait.h"
#include "core/context.h"

/* timers helper */
int aio__timers_init(AioContext *ctx)
{
    (void)ctx;
    return 0;
}
void aio__timers_destroy(AioContext *ctx)
{
    (void)ctx;
}
int64_t aio__timers_timeout_ns(AioContext *ctx)
{
    (void)ctx;
    return -1;
}
unsigned aio__timers_run(AioContext *ctx)
{
    (void)ctx;
    return 0;
}
bool aio__timers_armed(AioContext *ctx, AioClock clock)
{
    (void)ctx;
    (void)clock;
    return false;
}
int64_t aio_soonest_timeout(int64_t a, int64_t b)
{
    return a < 0 ? b : b < 0 || a < b ? a : b;
}

/* coroutines helper */
int aio__co_context_init(AioContext *ctx)
{
    (void)ctx;
    return 0;
}
void aio__co_context_destroy(AioContext *ctx)
{
    (void)ctx;
}
bool aio__co_context_busy(AioContext *ctx)
{
    (void)ctx;
    return false;
}
bool aio_co_in_coroutine(void)
{
    return false;
}

/* defer.c */
void aio_defer_call(AioCallback *cb, void *opaque)
{
    cb(opaque);
}
