/*
 * One client from accept to close, and its input. The connection's coroutine runs this file from top to bottom; what it
 * keeps: the connection is freed by that coroutine alone, once no request is in flight, and its end is explained by one
 * line in the log at most.
 *
 * SPDX-License-Identifier: MIT
 */
#include "connection.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "system.h"

enum { LINGER_NS = AIO_SCALE_S };

int connection_fault(Connection *conn, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (!conn->explained)
        log_line("client %u (%s): %s", conn->id, conn->peer, text);
    conn->explained = true;
    return -EPROTO;
}

/* How long to wait for the client. */
static int64_t patience(const Connection *conn, bool idle)
{
    const Options *options = &conn->worker->server->options;
    if (conn->handshake_end == INT64_MAX)
        return -1;
    if (conn->handshake_end) {
        int64_t left = conn->handshake_end - aio_clock_get_ns(AIO_CLOCK_REALTIME);
        return left > 0 ? left : 0;
    }
    return idle ? options->idle_ns : options->stall_ns;
}

/* Receive once. `idle`: between two messages, where the client may leave. */
static int64_t receive(Connection *conn, AioIoVec *iov, int iovcnt, bool idle)
{
    conn->idle = idle;
    int64_t n = socket_recv(&conn->sock, iov, iovcnt, patience(conn, idle));
    if (n)
        return n;
    return idle ? -EPIPE : connection_fault(conn, "left in the middle of a message");
}

static int need(Connection *conn, size_t length)
{
    while (conn->end - conn->start < length) {
        bool idle = conn->start == conn->end;
        if (conn->start > INPUT_SIZE - length || idle) {
            memmove(conn->input, conn->input + conn->start, conn->end - conn->start);
            conn->end -= conn->start;
            conn->start = 0;
        }
        AioIoVec iov = {.base = conn->input + conn->end, .len = INPUT_SIZE - conn->end};
        int64_t n = receive(conn, &iov, 1, idle);
        if (n < 0)
            return (int)n;
        conn->end += (size_t)n;
    }
    return 0;
}

int connection_take(Connection *conn, size_t length, const uint8_t **data)
{
    int err = need(conn, length);
    if (err)
        return err;
    *data = conn->input + conn->start;
    conn->start += length;
    return 0;
}

int connection_read(Connection *conn, uint8_t *buffer, size_t length)
{
    size_t ahead = conn->end - conn->start;
    size_t n = ahead < length ? ahead : length;
    memcpy(buffer, conn->input + conn->start, n);
    conn->start += n;
    while (n < length) {
        /* The rest goes to its place without a copy, and what comes after it is the next requests. */
        AioIoVec iov[] = {{.base = buffer + n, .len = length - n},
                          {.base = conn->input, .len = INPUT_SIZE}};
        int64_t got = receive(conn, iov, 2, false);
        if (got < 0)
            return (int)got;
        n += (size_t)got;
        conn->start = 0;
        conn->end = n > length ? n - length : 0;
    }
    return 0;
}

int connection_skip(Connection *conn, size_t length)
{
    uint8_t waste[4096];
    int err = 0;
    while (length && !err) {
        size_t n = length < sizeof(waste) ? length : sizeof(waste);
        err = connection_read(conn, waste, n);
        length -= n;
    }
    return err;
}

int connection_send(Connection *conn, AioIoVec *iov, int iovcnt)
{
    int err = socket_send(&conn->sock, iov, iovcnt, patience(conn, false));
    if (err) {
        /* A message may be half out: nothing may follow it. */
        connection_fault(conn, err == -ETIMEDOUT ? "does not read: %s" : "can't send: %s",
                         system_error_text(err));
        socket_fail(&conn->sock, err);
    }
    return err;
}

void connection_drain(Connection *conn)
{
    socket_stop_recv(&conn->sock, -ECANCELED);
}

static void explain(Connection *conn, int err)
{
    if (err == -EPIPE || err == -ECANCELED)
        return;
    if (err == -ETIMEDOUT)
        connection_fault(conn, "timed out %s",
                         conn->handshake_end ? "in the handshake"
                         : conn->idle        ? "while idle"
                                             : "in the middle of a message");
    else
        connection_fault(conn, "%s", system_error_text(err));
}

static void link_in(Connection *conn)
{
    conn->next = conn->worker->connections;
    if (conn->next)
        conn->next->prev = conn;
    conn->worker->connections = conn;
}

static void unlink_from(Connection *conn)
{
    if (conn->next)
        conn->next->prev = conn->prev;
    if (conn->prev)
        conn->prev->next = conn->next;
    else
        conn->worker->connections = conn->next;
}

/* The connection's coroutine. */
static void run(void *opaque)
{
    Connection *conn = opaque;
    Server *server = conn->worker->server;
    int64_t limit = server->options.handshake_ns;

    socket_init(&conn->sock, conn->worker->ctx, conn->handle);
    link_in(conn);
    conn->handshake_end = limit < 0 ? INT64_MAX : aio_clock_get_ns(AIO_CLOCK_REALTIME) + limit;
    int err = conn->worker->draining ? -ECANCELED : handshake(conn);
    if (!err) {
        conn->handshake_end = 0;
        err = transmission(conn);
    }
    explain(conn, err);

    transmission_finish(conn);
    socket_linger(&conn->sock, LINGER_NS);
    unlink_from(conn);
    socket_close(&conn->sock);
    free(conn);
    atomic_fetch_sub(&server->connections, 1);
    aio_wait_kick(); /* workers_drain() */
}

bool connection_start(Worker *worker, AioHandle handle, unsigned id, const char *peer,
                      AioError **errp)
{
    Connection *conn = calloc(1, sizeof(*conn));
    if (!conn) {
        aio_error_set(errp, ENOMEM, "no memory");
        goto failed;
    }
    AioCoroutine *co = aio_co_create_full(run, conn, errp);
    if (!co)
        goto failed;
    conn->worker = worker;
    conn->handle = handle;
    conn->id = id;
    snprintf(conn->peer, sizeof(conn->peer), "%s", peer);
    aio_co_enter(worker->ctx, co); /* another thread's context: it starts there */
    return true;

failed:
    free(conn);
    system_socket_close(handle);
    return false;
}
