/*
 * Requests as core's own kinds of them need them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_REQUEST_H
#define AIOCTX_CORE_REQUEST_H

#include "aioctx/request.h"

/*
 * A request is PENDING from its making on.
 *
 *             cancel_async                        aio_request_complete()
 *   PENDING <--------------> CANCELLING   PENDING ----------------------> COMPLETING (callback runs)
 *                 its return                                                   |  callback returned
 *                                                                              v
 *                                                                            DONE
 *
 * The struct is freed with the last reference, from DONE, or from PENDING where its maker drops it without
 * completing it (the submission failed). CANCELLING is what makes a completion from inside cancel_async an
 * assertion.
 */
typedef enum AioRequestState {
    AIO_REQUEST_PENDING,
    AIO_REQUEST_CANCELLING,
    AIO_REQUEST_COMPLETING,
    AIO_REQUEST_DONE,
} AioRequestState;

/* As aio_request_get(), for a struct of `size` bytes whatever info->size says. */
void *aio__request_get(const AioRequestInfo *info, size_t size, AioContext *ctx,
                       AioCompletionFunc *cb, void *opaque);

#endif
