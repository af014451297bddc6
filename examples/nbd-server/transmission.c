/*
 * Requests in, replies out. The connection's coroutine reads requests and starts a coroutine for each; these end in any
 * order, and each sends its reply under the lock `sending`. Both the number of requests in flight and the bytes of
 * their buffers are bounded: where a bound is reached, no more is read, and the client feels it. Buffers are kept for
 * the next request, and count like those in use; they give way to what is needed.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "connection.h"

/* How much larger than needed a buffer may be, so that the bounds still mean something. */
enum { MAX_SLACK = 64 * 1024 };

static bool fits(const Connection *conn, size_t bytes)
{
    return conn->bytes + bytes <= conn->worker->server->options.max_bytes;
}

static void drop_buffer(Request *req)
{
    req->conn->bytes -= req->capacity;
    free(req->data);
    req->data = NULL;
    req->capacity = 0;
}

/* Let go of spare buffers until `bytes` more fit in, or none is left. */
static void drop_spare(Connection *conn, size_t bytes)
{
    for (Request *req = conn->spare; req && !fits(conn, bytes); req = req->next) {
        conn->spare_bytes -= req->capacity;
        drop_buffer(req);
    }
}

static Request *get_spare(Connection *conn)
{
    Request *req = conn->spare;
    if (req) {
        conn->spare = req->next;
        conn->spare_bytes -= req->capacity;
    } else {
        req = calloc(1, sizeof(*req));
    }
    return req;
}

/* Take a spare request or make one, with a buffer for `payload` bytes; without one where memory is refused. */
static Request *get(Connection *conn, uint32_t payload)
{
    Request *req = get_spare(conn);
    if (!req)
        return NULL;
    req->conn = conn;
    if (req->capacity < payload || req->capacity - payload > MAX_SLACK) {
        drop_buffer(req); /* not realloc: its contents are of no use */
        drop_spare(conn, payload);
        req->data = payload ? malloc(payload) : NULL;
        req->capacity = req->data ? payload : 0;
        conn->bytes += req->capacity;
    }
    conn->requests++;
    return req;
}

static void put(Request *req)
{
    Connection *conn = req->conn;
    conn->requests--;
    if (!fits(conn, 0))
        drop_buffer(req); /* one that was larger than the bound */
    conn->spare_bytes += req->capacity;
    req->next = conn->spare;
    conn->spare = req;
    aio_co_queue_next(&conn->room); /* runs when this coroutine ends: *conn may go then */
}

static uint32_t error_on_wire(int64_t err)
{
    switch (-err) {
    case EPERM:
    case EACCES:
    case EROFS:
        return NBD_EPERM;
    case ENOMEM:
        return NBD_ENOMEM;
    case EINVAL:
        return NBD_EINVAL;
    case ENOSPC:
#ifdef EDQUOT
    case EDQUOT:
#endif
    case EFBIG:
        return NBD_ENOSPC;
    case EOVERFLOW:
        return NBD_EOVERFLOW;
    case ENOTSUP:
#if EOPNOTSUPP != ENOTSUP
    case EOPNOTSUPP:
#endif
        return NBD_ENOTSUP;
    case ECANCELED: /* it drains */
        return NBD_ESHUTDOWN;
    default:
        return NBD_EIO;
    }
}

static uint8_t *simple_head(uint8_t *p, const Request *req, int64_t result)
{
    p = nbd_put32(p, NBD_SIMPLE_REPLY_MAGIC);
    p = nbd_put32(p, result < 0 ? error_on_wire(result) : 0);
    return nbd_put64(p, req->cookie);
}

/* One chunk is the whole reply: data with its offset, extents with their context, or an error without text. */
static uint8_t *chunk_head(uint8_t *p, const Request *req, int64_t result)
{
    bool read = req->type == NBD_CMD_READ;
    uint16_t type = result < 0 ? NBD_CHUNK_ERROR
                    : read     ? NBD_CHUNK_OFFSET_DATA
                               : NBD_CHUNK_BLOCK_STATUS;
    uint32_t own = result < 0 ? 6 : read ? 8 : 4;
    p = nbd_put32(p, NBD_CHUNK_MAGIC);
    p = nbd_put16(nbd_put16(p, NBD_CHUNK_DONE), type);
    p = nbd_put64(p, req->cookie);
    p = nbd_put32(p, own + (result < 0 ? 0 : (uint32_t)result));
    if (result < 0)
        return nbd_put16(nbd_put32(p, error_on_wire(result)), 0);
    return read ? nbd_put64(p, req->offset) : nbd_put32(p, ALLOCATION_ID);
}

static void send_reply(Request *req, int64_t result)
{
    Connection *conn = req->conn;
    uint8_t head[NBD_CHUNK_SIZE + 8], *end;
    bool chunk =
        conn->structured && (req->type == NBD_CMD_READ || req->type == NBD_CMD_BLOCK_STATUS);
    end = chunk ? chunk_head(head, req, result) : simple_head(head, req, result);
    AioIoVec iov[] = {
        {.base = head, .len = (size_t)(end - head)},
        {.base = req->data, .len = result > 0 ? (size_t)result : 0},
    };
    aio_co_mutex_lock(&conn->sending);
    connection_send(conn, iov, result > 0 ? 2 : 1);
    aio_co_mutex_unlock(&conn->sending);
}

static void count(Statistics *stats, const Request *req, int64_t result)
{
    stat_add(&stats->requests, 1);
    stat_add(&stats->in_flight, (uint64_t)-1);
    if (result >= 0 && req->type == NBD_CMD_READ)
        stat_add(&stats->bytes_read, req->length);
    if (result >= 0 && req->type == NBD_CMD_WRITE)
        stat_add(&stats->bytes_written, req->length);
}

/* A request's coroutine. */
static void serve(void *opaque)
{
    Request *req = opaque;
    Statistics *stats = &req->conn->worker->stats;
    stat_add(&stats->in_flight, 1);
    int64_t result = req->error ? req->error : request_run(req);
    send_reply(req, result);
    count(stats, req, result);
    put(req);
}

static void wait_for_room(Connection *conn, uint32_t payload)
{
    const Options *options = &conn->worker->server->options;
    /* Spare buffers give way. Alone, a request may be larger than the bound. */
    while (conn->requests >= options->max_requests ||
           (conn->requests && conn->bytes - conn->spare_bytes + payload > options->max_bytes))
        aio_co_queue_wait(&conn->room, NULL);
}

/* Read what belongs to a request beyond its head, and start it. */
static int start(Connection *conn, const Request *head)
{
    int error = conn->worker->draining ? -ECANCELED : request_check(head);
    if (head->type == NBD_CMD_WRITE && head->length > MAX_PAYLOAD)
        return connection_fault(conn, "wrote %u bytes at once", head->length);
    uint32_t payload = error ? 0 : request_payload(head);
    wait_for_room(conn, payload);

    Request *req = get(conn, payload);
    if (!req)
        return connection_fault(conn, "no memory for a request");
    req->cookie = head->cookie;
    req->offset = head->offset;
    req->length = head->length;
    req->flags = head->flags;
    req->type = head->type;
    req->error = !error && payload && !req->data ? -ENOMEM : error;

    int err = 0;
    if (req->type == NBD_CMD_WRITE)
        err = req->error ? connection_skip(conn, req->length)
                         : connection_read(conn, req->data, req->length);
    if (err) {
        put(req);
        return err;
    }
    AioCoroutine *co = aio_co_create(serve, req);
    if (co)
        aio_co_enter(conn->worker->ctx, co); /* it runs when this coroutine next waits */
    else
        serve(req); /* no memory for another stack: one after the other, then */
    return 0;
}

int transmission(Connection *conn)
{
    for (;;) {
        const uint8_t *p;
        int err = connection_take(conn, NBD_REQUEST_SIZE, &p);
        if (err)
            return err;
        if (nbd_get32(p) != NBD_REQUEST_MAGIC)
            return connection_fault(conn, "sent a wrong magic number instead of a request");
        Request head = {
            .conn = conn,
            .flags = nbd_get16(p + 4),
            .type = nbd_get16(p + 6),
            .cookie = nbd_get64(p + 8),
            .offset = nbd_get64(p + 16),
            .length = nbd_get32(p + 24),
        };
        if (head.type == NBD_CMD_DISC)
            return -EPIPE;
        err = start(conn, &head);
        if (err)
            return err;
    }
}

void transmission_finish(Connection *conn)
{
    while (conn->requests)
        aio_co_queue_wait(&conn->room, NULL);
    while (conn->spare) {
        Request *req = conn->spare;
        conn->spare = req->next;
        free(req->data);
        free(req);
    }
}
