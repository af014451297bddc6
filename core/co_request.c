/*
 * Requests for coroutines: each submits the plain request and yields. The completion wakes the coroutine in the
 * context that it ran in when it yielded. Nothing is cancelled here, and no request of its own kind is made.
 * What the completion leaves lies on the coroutine's stack, which stays until it came: there is exactly
 * one for each request.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>

#include "aioctx/coroutine.h"
#include "aioctx/error.h"
#include "aioctx/file.h"
#include "aioctx/thread_pool.h"

typedef struct Waiter {
    AioCoroutine *co; /* borrowed: yields until `ret` is there */
    int64_t ret;
    AioError *error; /* owned until wait_for() */
} Waiter;

static void wake(void *opaque, int64_t ret)
{
    Waiter *waiter = opaque;
    waiter->ret = ret;
    aio_co_wake(waiter->co);
}

static Waiter begin(void)
{
    assert(aio_co_in_coroutine());
    return (Waiter){.co = aio_co_self()};
}

/* The result of the request, or of the attempt to submit it. */
static int64_t wait_for(Waiter *waiter, const AioRequest *request)
{
    if (!request) {
        int code = aio_error_code(waiter->error);
        aio_error_free(waiter->error);
        return -code;
    }
    aio_co_yield();
    return waiter->ret;
}

int aio_thread_pool_submit_co(AioThreadPool *pool, AioThreadPoolFunc *func, void *arg)
{
    Waiter w = begin();
    return (int)wait_for(&w, aio_thread_pool_submit(pool, func, arg, wake, &w, &w.error));
}

int64_t aio_file_co_preadv(AioFile *file, const AioIoVec *iov, int iovcnt, int64_t offset)
{
    Waiter w = begin();
    return wait_for(&w, aio_file_preadv(file, iov, iovcnt, offset, wake, &w, &w.error));
}

int64_t aio_file_co_pwritev(AioFile *file, const AioIoVec *iov, int iovcnt, int64_t offset,
                            unsigned flags)
{
    Waiter w = begin();
    return wait_for(&w, aio_file_pwritev(file, iov, iovcnt, offset, flags, wake, &w, &w.error));
}

int aio_file_co_fsync(AioFile *file)
{
    Waiter w = begin();
    return (int)wait_for(&w, aio_file_fsync(file, wake, &w, &w.error));
}

int aio_file_co_fdatasync(AioFile *file)
{
    Waiter w = begin();
    return (int)wait_for(&w, aio_file_fdatasync(file, wake, &w, &w.error));
}

int aio_file_co_discard(AioFile *file, int64_t offset, int64_t length)
{
    Waiter w = begin();
    return (int)wait_for(&w, aio_file_discard(file, offset, length, wake, &w, &w.error));
}

int aio_file_co_write_zeroes(AioFile *file, int64_t offset, int64_t length, unsigned flags)
{
    Waiter w = begin();
    return (int)wait_for(&w,
                         aio_file_write_zeroes(file, offset, length, flags, wake, &w, &w.error));
}
