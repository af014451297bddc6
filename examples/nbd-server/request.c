/*
 * What each command does to the image. Everything that a client can get wrong in a request is found by request_check(),
 * before memory is taken or a byte is touched; request_run() may rely on it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "connection.h"
#include "system.h"

enum { MAX_EXTENTS = 512 };

static const struct {
    uint16_t flags; /* those that it knows */
    bool writes;
    int beyond_end; /* the error for a range that does not fit into the image */
} commands[] = {
    [NBD_CMD_READ] = {NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_DF, false, -EINVAL},
    [NBD_CMD_WRITE] = {NBD_CMD_FLAG_FUA, true, -ENOSPC},
    [NBD_CMD_FLUSH] = {NBD_CMD_FLAG_FUA, false, -EINVAL},
    [NBD_CMD_TRIM] = {NBD_CMD_FLAG_FUA, true, -EINVAL},
    [NBD_CMD_CACHE] = {NBD_CMD_FLAG_FUA, false, -EINVAL},
    [NBD_CMD_WRITE_ZEROES] = {NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_NO_HOLE | NBD_CMD_FLAG_FAST_ZERO,
                              true, -ENOSPC},
    [NBD_CMD_BLOCK_STATUS] = {NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_REQ_ONE, false, -EINVAL},
};

int request_check(const Request *req)
{
    const Connection *conn = req->conn;
    uint64_t size = conn->export->size;
    if (req->type >= sizeof(commands) / sizeof(commands[0]) || !commands[req->type].flags ||
        (req->flags & ~commands[req->type].flags))
        return -EINVAL;
    if ((req->flags & NBD_CMD_FLAG_DF) && !conn->structured)
        return -EINVAL;
    if (req->type == NBD_CMD_FLUSH)
        return req->offset || req->length ? -EINVAL : 0;
    if (req->type == NBD_CMD_BLOCK_STATUS && !conn->status_export)
        return -EINVAL;
    if (commands[req->type].writes && conn->export->read_only)
        return -EPERM;
    if (!req->length || (req->type == NBD_CMD_READ && req->length > MAX_PAYLOAD))
        return -EINVAL;
    if (req->offset > size || req->length > size - req->offset)
        return commands[req->type].beyond_end;
    return 0;
}

uint32_t request_payload(const Request *req)
{
    switch (req->type) {
    case NBD_CMD_READ:
    case NBD_CMD_WRITE:
        return req->length;
    case NBD_CMD_BLOCK_STATUS:
        return MAX_EXTENTS * NBD_EXTENT_SIZE;
    default:
        return 0;
    }
}

static int64_t read_image(Request *req)
{
    AioIoVec iov = {.base = req->data, .len = req->length};
    int64_t n = aio_file_co_preadv(req->conn->file, &iov, 1, (int64_t)req->offset);
    return n >= 0 && n < req->length ? -EIO : n; /* somebody has shortened the image */
}

static int64_t write_image(Request *req)
{
    AioIoVec iov = {.base = req->data, .len = req->length};
    unsigned flags = req->flags & NBD_CMD_FLAG_FUA ? AIO_FILE_FUA : 0;
    return aio_file_co_pwritev(req->conn->file, &iov, 1, (int64_t)req->offset, flags);
}

static int64_t write_zeroes(Request *req)
{
    unsigned flags = 0;
    if (req->flags & NBD_CMD_FLAG_FUA)
        flags |= AIO_FILE_FUA;
    if (req->flags & NBD_CMD_FLAG_NO_HOLE)
        flags |= AIO_FILE_NO_HOLE;
    if (req->flags & NBD_CMD_FLAG_FAST_ZERO)
        flags |= AIO_FILE_FAST;
    return aio_file_co_write_zeroes(req->conn->file, (int64_t)req->offset, req->length, flags);
}

static int64_t trim(Request *req)
{
    int err = aio_file_co_discard(req->conn->file, (int64_t)req->offset, req->length);
    if (err == -ENOTSUP || err == -EOPNOTSUPP)
        err = 0; /* a hint, which may be ignored */
    if (!err && (req->flags & NBD_CMD_FLAG_FUA))
        err = aio_file_co_fdatasync(req->conn->file);
    return err;
}

/* In a thread of the pool, since it may block. */
static int prefetch(void *opaque)
{
    Request *req = opaque;
    return system_prefetch(aio_file_handle(req->conn->file), (int64_t)req->offset, req->length);
}

static int64_t cache(Request *req)
{
    AioThreadPool *pool = aio_get_thread_pool(req->conn->worker->ctx);
    return pool ? aio_thread_pool_submit_co(pool, prefetch, req) : -ENOMEM;
}

/* Fill the buffer with extents. Neighbours of one kind are joined; what does not fit, the client asks for again. */
static int64_t block_status(Request *req)
{
    uint32_t max = req->flags & NBD_CMD_FLAG_REQ_ONE ? 1 : MAX_EXTENTS;
    uint32_t count = 0, left = req->length, length = 0, state = 0;
    int64_t offset = (int64_t)req->offset;
    while (left) {
        AioFileExtent extent;
        int err = aio_file_extent(req->conn->file, offset, left, &extent);
        if (err || extent.length <= 0)
            return err ? err : -EIO;
        uint32_t next = extent.is_hole ? NBD_STATE_HOLE | NBD_STATE_ZERO : 0;
        if (length && next != state) {
            nbd_put32(nbd_put32(req->data + count++ * NBD_EXTENT_SIZE, length), state);
            length = 0;
            if (count == max)
                break;
        }
        state = next;
        length += (uint32_t)extent.length;
        left -= (uint32_t)extent.length;
        offset += extent.length;
    }
    if (length)
        nbd_put32(nbd_put32(req->data + count++ * NBD_EXTENT_SIZE, length), state);
    return count * NBD_EXTENT_SIZE;
}

int64_t request_run(Request *req)
{
    int64_t result;
    switch (req->type) {
    case NBD_CMD_READ:
        return read_image(req);
    case NBD_CMD_BLOCK_STATUS:
        return block_status(req);
    case NBD_CMD_WRITE:
        result = write_image(req);
        break;
    case NBD_CMD_FLUSH:
        result = aio_file_co_fdatasync(req->conn->file);
        break;
    case NBD_CMD_TRIM:
        result = trim(req);
        break;
    case NBD_CMD_CACHE:
        result = cache(req);
        break;
    case NBD_CMD_WRITE_ZEROES:
        result = write_zeroes(req);
        break;
    default:
        result = -EINVAL;
    }
    return result < 0 ? result : 0; /* no data */
}
