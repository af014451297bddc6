/*
 * Stand-ins for modules that have not landed. Whoever lands one deletes its part here; the last one deletes
 * the file and its line in CMakeLists.txt.
 *
 * SPDX-License-Identifier: MIT
 */
#include "aioctx/wait.h"
#include "core/context.h"

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
