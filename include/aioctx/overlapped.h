/*
 * Overlapped calls of Windows as requests: on named pipes, devices, and whatever else takes an OVERLAPPED. Their ends arrive at
 * the completion port that the context's poller waits for (poller `port`), in the same wait as all else.
 *
 * A host that waits elsewhere, between aio_prepare() and aio_pending(), is not woken by them: it has them when it looks the next time.
 *
 * Files have a header of their own (aioctx/file.h). Elsewhere than on Windows, and with another poller, all of this is refused.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_OVERLAPPED_H
#define AIOCTX_OVERLAPPED_H

#include "aioctx/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Makes one overlapped call: ReadFile(), ConnectNamedPipe(), DeviceIoControl(), WSARecv()... `overlapped` is its OVERLAPPED, zero, of which
 * it may set the offset. Returns 0 where the call has succeeded or is pending, otherwise the error of GetLastError() or
 * WSAGetLastError(). Buffers that it names must stay until the completion.
 */
typedef uint32_t AioOverlappedFunc(void *opaque, AioHandle handle, void *overlapped);

/*
 * Whether overlapped calls can be made in this context.
 *
 * Thread: any
 */
AIO_EXPORT bool aio_overlapped_available(const AioContext *ctx);

/*
 * Have what is done on a handle arrive in this context. Once for a handle, before its first request; the handle was opened for
 * overlapped calls and belongs to no completion port yet. It does until it is closed (CreateIoCompletionPort(), Windows API), so
 * other overlapped calls on it take an event whose lowest bit is set. False: EBADF, EINVAL where it is not for overlapped calls or
 * belongs to a port, ENOTSUP where the context has none.
 *
 * Thread: home
 */
AIO_EXPORT bool aio_overlapped_bind(AioContext *ctx, AioHandle handle, AioError **errp);

/*
 * Have `start` make one overlapped call on a bound handle, from inside of this, and complete with the bytes it has transferred or a
 * negative errno value: -EPIPE at the end of a pipe. A message that is longer than its buffer counts as
 * what there was room for. Cancelling is CancelIoEx(), under the contract of aioctx/request.h; before the handle is closed its
 * requests are to be completed. NULL: `start` said what it said, or there is no memory; no completion comes then.
 *
 * Thread: home
 */
AIO_EXPORT AioRequest *aio_overlapped_submit(AioContext *ctx, AioHandle handle,
                                             AioOverlappedFunc *start, void *start_opaque,
                                             AioCompletionFunc *cb, void *opaque, AioError **errp);

#ifdef __cplusplus
}
#endif

#endif
