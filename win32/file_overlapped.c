/*
 * The file engine of the completion port: reads, and writes that find the file long enough, by overlapped calls whose
 * ends arrive at the port of the context's poller. It is built upon the generic engine, which does what the system would
 * do inside of the call, has the files that can't be bound to the port, and brings home whatever is over.
 *
 * Invariant: one piece at a time is under way for an op, and the op stays where it is until the packet of that has
 * come. A packet is taken at home and runs no callback; a call that fails at once leaves none. The thread that made a
 * call may end before it: the system keeps what belongs to a port.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <string.h>

#include "core/alloc.h"
#include "core/file_pool.h"
#include "win32/file_io.h"
#include "win32/poller_port.h"

#define MAX_PIECE ((size_t)1 << 30) /* of one call */
#define MAX_PAGES 64u               /* the same, of those with a list of pages */

/*
 * In AioFile.engine_data, beside the generic engine's bit: whether the file was bound to the port, or can't be. The
 * other bits are its size, rounded down, when it was last asked for.
 */
#define BOUND UINT64_C(2)
#define UNBOUND UINT64_C(4)
#define SIZE_BITS (~(AIO_FILE_POOL_NO_INLINE | BOUND | UNBOUND))

/* What submit has started, as the result of an attempt. */
#define UNDER_WAY INT64_MIN

/*
 *              submit: not for the port                                 its completion
 *   (prepared) --------------------------> POOLED ---------------------------------------> (freed)
 *       |                                                                    ^
 *       | a call succeeds              a packet: nothing is left             |
 *       +-----------------> PENDING --------------------------------> HOME --+
 *       |                    ^   |                                     ^
 *       |                    +---+ a packet: the next call succeeds    |
 *       +--------------------------------------------------------------+ a call fails
 *
 * PENDING it belongs to the system, and `cancelled` keeps further calls from being made.
 */
typedef enum OverlappedOpState {
    OVERLAPPED_POOLED,
    OVERLAPPED_PENDING,
    OVERLAPPED_HOME,
} OverlappedOpState;

typedef struct OverlappedEngine {
    AioFilePool pool; /* first */
    AioPort *port;    /* borrowed: the poller's, which outlives this */
    size_t page;      /* bytes of one */
} OverlappedEngine;

typedef struct OverlappedOp {
    AioFilePoolOp head; /* first */
    AioPortOp port_op;
    OverlappedOpState state;
    bool cancelled;
    FILE_SEGMENT_ELEMENT pages[MAX_PAGES + 1]; /* the system's while PENDING */
} OverlappedOp;

extern const AioFileEngineOps aio__file_engine_overlapped;

static OverlappedEngine *engine_of(AioFileEngine *engine)
{
    return (OverlappedEngine *)(void *)engine;
}

static OverlappedOp *overlapped_op(AioFileOp *op)
{
    return (OverlappedOp *)(void *)op;
}

/*
 * A handle that was lent stays as it is. One that was not opened for overlapped calls, or is bound already, the
 * system refuses; one whose calls may leave no packet would keep a request waiting for ever.
 */
static bool is_bound(OverlappedEngine *self, AioFile *file)
{
    if (!(file->engine_data & (BOUND | UNBOUND))) {
        HANDLE handle = (HANDLE)file->handle;
        bool bound =
            file->own && !aio__port_is_skipped(handle) && aio__port_attach(self->port, handle) == 0;
        file->engine_data |= bound ? BOUND : UNBOUND;
    }
    return file->engine_data & BOUND;
}

/*
 * Whether the file reaches to the end of a write. Where somebody has made it shorter meanwhile, the write is right,
 * too, and only holds up the caller.
 */
static bool is_within(AioFile *file, const AioFileIo *io)
{
    LARGE_INTEGER size;
    uint64_t end = (uint64_t)io->offset + (uint64_t)io->length;
    if (end <= (file->engine_data & SIZE_BITS)) {
        return true;
    }
    if (!GetFileSizeEx((HANDLE)file->handle, &size)) {
        return false;
    }
    file->engine_data = (file->engine_data & ~SIZE_BITS) | ((uint64_t)size.QuadPart & SIZE_BITS);
    return end <= (uint64_t)size.QuadPart;
}

static bool is_for_the_port(OverlappedEngine *self, const AioFileOp *op)
{
    const AioFileIo *io = &op->io;
    bool read = io->kind == AIO_FILE_IO_READ;
    bool write = io->kind == AIO_FILE_IO_WRITE && !(io->flags & AIO_FILE_FUA);
    return (read || write) && !self->port->hosted && is_bound(self, op->file) &&
           (read || is_within(op->file, io));
}

/*
 * List the pages of a transfer past the cache that consists of several pieces, all of whole pages, for one call to move
 * them all. Returns its bytes, or 0 where it is another one, or too long.
 */
static DWORD list_pages(const OverlappedEngine *self, OverlappedOp *op)
{
    const AioFileIo *io = &op->head.op.io;
    size_t n = 0;
    if (!(io->flags & AIO_FILE_IO_DIRECT) || io->iovcnt < 2 ||
        io->length > (int64_t)(self->page * MAX_PAGES)) {
        return 0;
    }
    for (int i = 0; i < io->iovcnt; i++) {
        uintptr_t base = (uintptr_t)io->iov[i].base;
        if ((base | io->iov[i].len) % self->page != 0) {
            return 0;
        }
        for (size_t at = 0; at < io->iov[i].len; at += self->page) {
            op->pages[n++].Alignment = base + at;
        }
    }
    op->pages[n].Alignment = 0;
    return (DWORD)io->length;
}

/* Start with what is left: UNDER_WAY, or the result where there is one without a packet to come. */
static int64_t start_piece(OverlappedEngine *self, OverlappedOp *op)
{
    AioFileIo *io = &op->head.op.io;
    HANDLE file = (HANDLE)io->handle;
    OVERLAPPED *overlapped = &op->port_op.overlapped;
    bool write = io->kind == AIO_FILE_IO_WRITE;
    BOOL started;
    if (aio__file_io_is_misaligned(io)) {
        return aio__file_io_run(io); /* moves nothing; a read that met the end leaves such a rest */
    }
    memset(overlapped, 0, sizeof(*overlapped));
    overlapped->Offset = (DWORD)io->offset;
    overlapped->OffsetHigh = (DWORD)((uint64_t)io->offset >> 32);
    DWORD size = list_pages(self, op);
    if (size > 0) {
        started = write ? WriteFileGather(file, op->pages, size, NULL, overlapped)
                        : ReadFileScatter(file, op->pages, size, NULL, overlapped);
    } else {
        size = (DWORD)(io->iov->len < MAX_PIECE ? io->iov->len : MAX_PIECE);
        started = write ? WriteFile(file, io->iov->base, size, NULL, overlapped)
                        : ReadFile(file, io->iov->base, size, NULL, overlapped);
    }
    DWORD error = started ? ERROR_SUCCESS : GetLastError();
    if (aio__port_expects(&op->port_op, error)) {
        self->port->expected++;
        return UNDER_WAY;
    }
    return error == ERROR_HANDLE_EOF ? 0 : aio__win32_error(error);
}

/* Go on with an op after the result of a piece, or of the first attempt. */
static void go_on(OverlappedEngine *self, OverlappedOp *op, int64_t result)
{
    while (result != UNDER_WAY && aio__file_op_advance(&op->head.op, result)) {
        result = op->cancelled ? -ECANCELED : start_piece(self, op);
    }
    op->state = result == UNDER_WAY ? OVERLAPPED_PENDING : OVERLAPPED_HOME;
    if (op->state == OVERLAPPED_HOME) {
        aio__file_pool_finish(&self->pool, &op->head);
    }
}

static void piece_done(AioPortOp *port_op)
{
    OverlappedOp *op = AIO_CONTAINER_OF(port_op, OverlappedOp, port_op);
    OverlappedEngine *self = engine_of(op->head.op.file->engine);
    self->port->expected--;
    go_on(self, op, aio__port_result(port_op));
}

static int overlapped_submit(AioFileEngine *engine, AioFileOp *head)
{
    OverlappedEngine *self = engine_of(engine);
    OverlappedOp *op = overlapped_op(head);
    if (!is_for_the_port(self, head)) {
        op->state = OVERLAPPED_POOLED;
        return aio__file_pool_submit(engine, head);
    }
    op->port_op.done = piece_done;
    op->cancelled = false;
    go_on(self, op, start_piece(self, op));
    return 0;
}

static void overlapped_cancel(AioFileEngine *engine, AioFileOp *head)
{
    OverlappedOp *op = overlapped_op(head);
    if (op->state == OVERLAPPED_POOLED) {
        aio__file_pool_cancel(engine, head);
    } else if (op->state == OVERLAPPED_PENDING) {
        op->cancelled = true;
        /* Its answer does not matter: a packet comes in any case, and says how it ended. */
        CancelIoEx((HANDLE)head->io.handle, &op->port_op.overlapped);
    }
}

static int overlapped_open(AioContext *ctx, AioFileEngine **result)
{
    SYSTEM_INFO system;
    AioPort *port = aio__poller_port_of(aio__file_engine_poller(ctx));
    if (!port) {
        return -ENOTSUP;
    }
    OverlappedEngine *self = aio__calloc(1, sizeof(*self));
    if (!self) {
        return -ENOMEM;
    }
    int error = aio__file_pool_init(&self->pool, &aio__file_engine_overlapped, ctx);
    if (error) {
        aio__free(self);
        return error;
    }
    GetSystemInfo(&system);
    self->page = system.dwPageSize;
    self->port = port;
    *result = &self->pool.engine;
    return 0;
}

static void overlapped_close(AioFileEngine *engine)
{
    aio__file_pool_destroy(&engine_of(engine)->pool);
    aio__free(engine);
}

const AioFileEngineOps aio__file_engine_overlapped = {
    .name = "overlapped",
    .op_size = sizeof(OverlappedOp),
    .open = overlapped_open,
    .close = overlapped_close,
    .submit = overlapped_submit,
    .cancel = overlapped_cancel,
};
