/*
 * Waitable handles: what they are, as far as it matters to who waits for them, and looking at some of them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_WIN32_OBJECT_H
#define AIOCTX_WIN32_OBJECT_H

#include "core/poller.h"
#include "win32/win32.h"

typedef enum AioObjectKind {
    AIO_OBJECT_CONSUMED, /* a wait takes the signal: auto-reset events, semaphores; and what nobody knows */
    AIO_OBJECT_LASTING, /* it stays signalled: manual-reset events, processes, threads */
} AioObjectKind;

/* What a handle is. 0, -EBADF for what is none, -ENOTSUP for a mutex, which a wait would make the waiting thread's. */
int aio__object_identify(AioHandle handle, AioObjectKind *kind);

/* A handle that somebody waits for. */
typedef struct AioObject {
    AioWatch *watch; /* borrowed until it is removed */
    HANDLE handle;
    AioObjectKind kind;
} AioObject;

/* Have a watch reported: its handle was found signalled, and the signal taken where it is of that kind. */
void aio__object_report(const AioObject *object, AioList *ready);

/*
 * Report each of `count` objects (no more than one call takes, MAXIMUM_WAIT_OBJECTS) that is signalled now. Those
 * on the ready list already are passed over: they would lose a signal. Returns how many, or -EBADF where one of the
 * handles can't be waited for.
 */
int aio__objects_probe(const AioObject *const *objects, size_t count, AioList *ready);

/* How many watches a ready list has behind the node that was its last; NULL: it was empty. */
int aio__objects_behind(const AioNode *last, const AioList *ready);

/*
 * After a wait for many has failed: whether this one is to blame, because it was closed, or is nothing that anybody can wait for.
 * Returns a negative errno value then, otherwise 0, with the watch reported where it was signalled.
 */
int aio__object_blame(const AioObject *object, AioList *ready);

#endif
