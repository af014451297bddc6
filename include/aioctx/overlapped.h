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
 * Makes one overlapped call: ReadFile(), ConnectNamedPipe(), DeviceIoControl(), WSARecv()... `overlapped` is its
 * OVERLAPPED, zero, of which it may set the offset; hEvent is left alone. Buffers that the call names must stay until
 * the completion.
 *
 * Returns 0 where the call has succeeded or is pending, which promises that its end arrives at the port: the request
 * waits for that. Otherwise what GetLastError() or WSAGetLastError() says, as it is: ERROR_IO_PENDING is as good as 0,
 * so are ERROR_MORE_DATA and WSAEMSGSIZE where a message was cut; whatever else says that nothing arrives.
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
 * other overlapped calls on it take an event whose lowest bit is set. FILE_SKIP_COMPLETION_PORT_ON_SUCCESS is neither set on it
 * nor will be. False: EBADF, EINVAL where it is not for overlapped calls, belongs to a port or has that set, ENOTSUP where the
 * context has none.
 *
 * Thread: home
 */
AIO_EXPORT bool aio_overlapped_bind(AioContext *ctx, AioHandle handle, AioError **errp);

/*
 * Have `start` make one overlapped call on a handle that is bound to this context, from inside of this, and complete with the
 * bytes it has transferred or a negative errno value: -EPIPE at the end of a pipe. A message that is
 * longer than its buffer counts as what there was room for. Cancelling is CancelIoEx(), under the contract of
 * aioctx/request.h; before the handle is closed its requests are to be completed.
 *
 * NULL and an error, and no completion: ENOTSUP where the context has no port, ENOMEM, or what the code of `start`
 * means, whose number the message has: EPIPE where the other end of a pipe is gone, EISCONN where a client came before
 * ConnectNamedPipe() (it is connected, and can be read), ECONNRESET, ECONNREFUSED..., EIO for what has no errno value.
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
