/*
 * A stream socket as coroutines like it: receive and send look blocking, and yield where they would block.
 *
 * One coroutine at a time receives, one sends. A socket is used in its context's home thread only.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef NBD_SERVER_SOCKET_H
#define NBD_SERVER_SOCKET_H

#include <aioctx/aioctx.h>

/*
 * One direction. The handler stays registered between waits, so that a wait costs no epoll_ctl(2); it is
 * taken back when it fires and nobody waits.
 *
 *            wait                       ready, somebody waits
 *   (off) ----------> watched, waiter ------------------------> watched, no waiter
 *     ^                      ^                wait                 |        |
 *     |                      +-------------------------------------+        |
 *     +---------------------------------------------------------------------+
 *                               ready, nobody waits
 */
typedef struct SocketSide {
    AioCoroutine *waiter; /* borrowed while it yields in here */
    int64_t deadline;     /* of the wait, on AIO_CLOCK_REALTIME */
    bool watched;
    int error; /* every later call returns it */
} SocketSide;

typedef struct Socket {
    AioContext *ctx;  /* borrowed */
    AioHandle handle; /* owned */
    bool exhausted;   /* the last receive took all there was: wait before the next one */
    unsigned in_a_row;
    SocketSide in;
    SocketSide out;
    AioTimer timer;
} Socket;

/* Take over a connected socket that does not block. In the context's home thread. */
void socket_init(Socket *sock, AioContext *ctx, AioHandle handle);

/* Close it. Nobody waits. */
void socket_close(Socket *sock);

/*
 * Receive what is there, one byte at least. Returns the number of bytes, 0 at the end of the stream, or a negative
 * errno value: -ETIMEDOUT where nothing came for timeout_ns (-1: for ever). In a coroutine.
 */
int64_t socket_recv(Socket *sock, AioIoVec *iov, int iovcnt, int64_t timeout_ns);

/*
 * Send all of it; `iov` is used up. Returns 0 or a negative errno value: -ETIMEDOUT where the peer took nothing for
 * timeout_ns. In a coroutine.
 */
int socket_send(Socket *sock, AioIoVec *iov, int iovcnt, int64_t timeout_ns);

/* Have the present and all later receives fail with `error`; sends go on. */
void socket_stop_recv(Socket *sock, int error);

/* The same for both directions, and tell the peer that it is over. */
void socket_fail(Socket *sock, int error);

/* Say that no more comes, and discard input until the peer closes, or timeout_ns. In a coroutine. */
void socket_linger(Socket *sock, int64_t timeout_ns);

#endif
