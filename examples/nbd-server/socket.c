/*
 * Receive and send of coroutines. Both try first and wait only where the system says that it would block,
 * so that a busy connection costs one system call for many requests and one for a reply.
 * It knows nothing of NBD. What it keeps: whoever waits is woken exactly once, by readiness, by the timer or by
 * a failure, and after that wake this code no longer touches the socket, for the coroutine may have freed it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "socket.h"

#include <errno.h>

#include "system.h"

enum { IN_A_ROW = 8 }; /* receives without a wait */

static int64_t now_ns(void)
{
    return aio_clock_get_ns(AIO_CLOCK_REALTIME);
}

static void ready(Socket *sock, SocketSide *side);

static void readable(void *opaque)
{
    Socket *sock = opaque;
    ready(sock, &sock->in);
}

static void writable(void *opaque)
{
    Socket *sock = opaque;
    ready(sock, &sock->out);
}

/* The system takes the descriptor no more: nothing would ever wake who waits for it. */
static void unwatchable(void *opaque, int error)
{
    socket_fail(opaque, error);
}

/* Register what is watched now. */
static int watch(Socket *sock)
{
    AioHandlerOps ops = {
        .size = sizeof(ops),
        .read = sock->in.watched ? readable : NULL,
        .write = sock->out.watched ? writable : NULL,
        .error = unwatchable,
    };
    AioError *error = NULL;
    if (!aio_handler_set(sock->ctx, sock->handle, AIO_HANDLE_SOCKET, 0, &ops, sock, &error)) {
        int code = aio_error_code(error);
        aio_error_free(error);
        return -code;
    }
    return 0;
}

static void wake(AioContext *ctx, AioCoroutine *co)
{
    if (co)
        aio_co_enter(ctx, co);
}

static AioCoroutine *take_waiter(SocketSide *side)
{
    AioCoroutine *co = side->waiter;
    side->waiter = NULL;
    return co;
}

static void ready(Socket *sock, SocketSide *side)
{
    AioCoroutine *co = take_waiter(side);
    if (!co) {
        /* Nobody reads this for now (too much in flight): asking on would make the loop spin. */
        side->watched = false;
        watch(sock); /* fewer events: can't fail */
        return;
    }
    wake(sock->ctx, co);
}

/*
 * The timer stands at the earliest deadline of the waits so far. Most waits end long before theirs, and leave it
 * alone: when it fires, it looks what is really due.
 */
static void timer_fired(void *opaque)
{
    Socket *sock = opaque;
    SocketSide *sides[] = {&sock->in, &sock->out};
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < 2; i++) {
        if (sides[i]->waiter && sides[i]->deadline < next)
            next = sides[i]->deadline;
    }
    if (next <= now_ns())
        socket_fail(sock, -ETIMEDOUT);
    else if (next < INT64_MAX)
        aio_timer_mod_ns(&sock->timer, next);
}

static int wait_for(Socket *sock, SocketSide *side, int64_t timeout_ns)
{
    if (side->error)
        return side->error;
    if (!side->watched) {
        side->watched = true;
        int err = watch(sock);
        if (err) {
            side->watched = false;
            return err;
        }
    }
    side->deadline = INT64_MAX;
    if (timeout_ns >= 0) {
        side->deadline = now_ns() + timeout_ns;
        aio_timer_mod_anticipate_ns(&sock->timer, side->deadline);
    }
    side->waiter = aio_co_self();
    sock->in_a_row = 0;
    aio_co_yield();
    return side->error;
}

/* A peer that is faster than we are never makes us wait: the loop gets its turn all the same. */
static void let_others_run(Socket *sock)
{
    sock->in_a_row = 0;
    aio_co_schedule(sock->ctx, aio_co_self());
    aio_co_yield();
}

void socket_init(Socket *sock, AioContext *ctx, AioHandle handle)
{
    *sock = (Socket){.ctx = ctx, .handle = handle};
    aio_timer_init(ctx, &sock->timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS, timer_fired, sock);
}

void socket_close(Socket *sock)
{
    aio_timer_del(&sock->timer);
    aio_handler_remove(sock->ctx, sock->handle, AIO_HANDLE_SOCKET);
    system_socket_close(sock->handle);
}

int64_t socket_recv(Socket *sock, AioIoVec *iov, int iovcnt, int64_t timeout_ns)
{
    size_t wanted = 0;
    for (int i = 0; i < iovcnt; i++)
        wanted += iov[i].len;

    for (;;) {
        if (++sock->in_a_row > IN_A_ROW)
            let_others_run(sock);
        if (sock->in.error)
            return sock->in.error;
        if (!sock->exhausted) {
            int64_t n = system_socket_recv(sock->handle, iov, iovcnt);
            if (n >= 0) {
                sock->exhausted = n > 0 && (size_t)n < wanted;
                return n;
            }
            if (n == -EINTR)
                continue;
            if (n != -EAGAIN)
                return n;
        }
        int err = wait_for(sock, &sock->in, timeout_ns);
        if (err)
            return err;
        sock->exhausted = false;
    }
}

/* Take n bytes off the front of the pieces. Returns how many pieces are used up. */
static int advance(AioIoVec *iov, int iovcnt, size_t n)
{
    int done = 0;
    while (done < iovcnt && n >= iov[done].len)
        n -= iov[done++].len;
    if (done < iovcnt) {
        iov[done].base = (char *)iov[done].base + n;
        iov[done].len -= n;
    }
    return done;
}

int socket_send(Socket *sock, AioIoVec *iov, int iovcnt, int64_t timeout_ns)
{
    while (iovcnt > 0) {
        if (sock->out.error)
            return sock->out.error;
        int64_t n = system_socket_send(sock->handle, iov, iovcnt);
        if (n >= 0) {
            int done = advance(iov, iovcnt, (size_t)n);
            iov += done;
            iovcnt -= done;
        } else if (n == -EAGAIN) {
            int err = wait_for(sock, &sock->out, timeout_ns);
            if (err)
                return err;
        } else if (n != -EINTR) {
            return (int)n;
        }
    }
    return 0;
}

void socket_stop_recv(Socket *sock, int error)
{
    if (!sock->in.error)
        sock->in.error = error;
    wake(sock->ctx, take_waiter(&sock->in));
}

void socket_fail(Socket *sock, int error)
{
    if (!sock->in.error)
        sock->in.error = error;
    if (!sock->out.error)
        sock->out.error = error;
    system_socket_shutdown(sock->handle, true);

    /* Whoever is woken first may end the connection: nothing of *sock is read in between. */
    AioContext *ctx = sock->ctx;
    AioCoroutine *sender = take_waiter(&sock->out);
    AioCoroutine *receiver = take_waiter(&sock->in);
    wake(ctx, sender);
    wake(ctx, receiver);
}

void socket_linger(Socket *sock, int64_t timeout_ns)
{
    /* A close with input unread would make TCP throw away the replies that the peer has not read yet. */
    char waste[4096];
    int64_t end = now_ns() + timeout_ns, left = timeout_ns;
    AioIoVec iov = {.base = waste, .len = sizeof(waste)};
    if (system_socket_shutdown(sock->handle, false))
        return;
    if (sock->in.error != sock->out.error)
        sock->in.error = 0; /* only receiving was stopped */
    while (left > 0 && socket_recv(sock, &iov, 1, left) > 0)
        left = end - now_ns();
}
