/*
 * Seam 2 of 4: how file requests are done. An engine is one file with one AioFileEngineOps at its end.
 *
 * True of all operations: they are called by the home thread only, except close (the last unref of a context
 * runs anywhere), and none runs a callback of a user. core/file.c checks requests, puts short transfers
 * together and completes requests; an engine only moves bytes.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_FILE_ENGINE_H
#define AIOCTX_CORE_FILE_ENGINE_H

#include "aioctx/file.h"
#include "core/platform.h"
#include "core/poller.h"

typedef struct AioFileEngine AioFileEngine;

/*
 *            aio_file_close()            the last request completed
 *   OPEN --------------------> CLOSING --------------------------> freed
 *
 * A CLOSING file takes no new requests.
 */
typedef enum AioFileState {
    AIO_FILE_OPEN,
    AIO_FILE_CLOSING,
} AioFileState;

struct AioFile {
    AioContext *ctx;       /* owned: a reference */
    AioFileEngine *engine; /* borrowed: the context's, until this is closed */
    AioHandle handle;      /* owned where `own` says so */
    bool own;
    unsigned access;    /* AIO_FILE_READ, _WRITE, _DIRECT: what the handle allows */
    unsigned in_flight; /* requests that have not completed */
    AioFileState state;
    uint64_t engine_data; /* the engine's own; 0 at first */
};

#define AIO_FILE_OP_INLINE_PIECES 4

/*
 * A request as engines see it. An engine that needs more of its own for each puts this at the head of a larger
 * struct and says so in op_size.
 *
 *             submit                  advance(): nothing is left            complete()
 *   PREPARED ---------> STARTED ------------------------------------> OVER ------------> its callback
 *                       ^     |
 *                       +-----+ advance(): `io` is what is left, to be started again
 *
 * While STARTED it belongs to the engine, which may call advance() in any thread, one at a time. OVER it is
 * complete()d at home.
 */
typedef enum AioFileOpState {
    AIO_FILE_OP_PREPARED,
    AIO_FILE_OP_STARTED,
    AIO_FILE_OP_OVER,
} AioFileOpState;

typedef struct AioFileOp {
    AioRequest request; /* first: what users hold */
    AioFile *file;      /* borrowed: until this has completed */
    AioFileIo io;       /* what is left to do */
    bool nothing_to_do; /* no engine has it */
    AioFileOpState state;
    unsigned retries;
    int64_t transferred;
    int64_t result;        /* once OVER */
    AioIoVec *next_piece;  /* linked: what io.iov points to, which is for reading only */
    AioIoVec *more_pieces; /* owned: where the array below is too small */
    AioIoVec pieces[AIO_FILE_OP_INLINE_PIECES];
} AioFileOp;

/*
 * Account for the result of one attempt at op->io, bytes or a negative errno value. Returns whether there is
 * more to do: the engine then starts op->io again. Otherwise it calls aio__file_op_complete() at home.
 */
bool aio__file_op_advance(AioFileOp *op, int64_t result);

/* Complete the request of an op that is over. Runs its callback, and with it anything; may free it. */
void aio__file_op_complete(AioFileOp *op);

typedef struct AioFileEngineOps {
    const char *name; /* borrowed: constant */
    size_t op_size;   /* of the struct that begins with AioFileOp */

    /*
     * Make one for a context. 0, -ENOTSUP where it does not go with the context's poller, or another negative errno
     * value where the system refuses it.
     */
    int (*open)(AioContext *ctx, AioFileEngine **engine);

    /* Free it. No op is STARTED. */
    void (*close)(AioFileEngine *engine);

    /*
     * Start an op: READ to WRITE_ZEROES, with something to do. It is completed exactly once, and not from
     * inside this call. A negative errno value where it can't be started: then it is not.
     */
    int (*submit)(AioFileEngine *engine, AioFileOp *op);

    /* Ask for the end of a STARTED op: it completes with -ECANCELED or as if nothing had been asked. */
    void (*cancel)(AioFileEngine *engine, AioFileOp *op);

    /*
     * Optional: hand what submits have gathered to the kernel. Called after each, or after a section, and in any
     * case before the context waits.
     */
    void (*flush)(AioFileEngine *engine);
} AioFileEngineOps;

/* The first member of every engine. */
struct AioFileEngine {
    const AioFileEngineOps *ops; /* borrowed: constant */
    bool unflushed; /* core's own, false at first: there were submits since the last flush */
    bool
        deferred; /* core's own, false at first: the flush is a deferred call, with a reference of the context */
};

/* The generic engine, which every system has and every context can use. */
extern const AioFileEngineOps aio__file_engine_pool;

/* Those of this build, best first, and NULL at the end. A context uses the first that goes with its poller. */
extern const AioFileEngineOps *const aio__file_engines[];

/* The poller of a context, for engines that go with one. Borrowed: it outlives the engine. */
AioPoller *aio__file_engine_poller(AioContext *ctx);

/* Have a context use this engine; -EBUSY where it has one already, as from its first file on. */
int aio__file_engine_use(AioContext *ctx, const AioFileEngineOps *ops);

/* After a submit: have the engine flushed, at the end of the section where this is in one. */
void aio__file_engine_gather(AioContext *ctx);

/* Flush it now, where something was gathered. */
void aio__file_engine_flush(AioContext *ctx);

/* The same, and nothing stays deferred. Called before the context gets another home. */
void aio__file_engine_hand_over(AioContext *ctx);

/* Close the engine of a context, where it has one. Called by the finalizer, before the pool goes. */
void aio__file_engine_close(AioContext *ctx);

#endif
