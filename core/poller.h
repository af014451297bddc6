/*
 * Seam 1 of 4: how a loop waits. A poller is one file with one AioPollerOps at its end, and one line in
 * CMake whose position is its rank. docs/adding-a-poller.md walks through it.
 *
 * True of all operations: they are called by the home thread only, except close (the last unref runs
 * anywhere) and wake; they run no callback of a user; they allocate in open and update, never in wait.
 * A poller knows watches and nothing else: no bottom half, timer or coroutine.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_POLLER_H
#define AIOCTX_CORE_POLLER_H

#include "aioctx/types.h"
#include "core/list.h"

/* What a watch waits for (wanted), and what was found (ready). */
enum {
    AIO_WATCH_READ = 1 << 0,
    AIO_WATCH_WRITE = 1 << 1,
    AIO_WATCH_HUP = 1 << 2,    /* ready only */
    AIO_WATCH_ERROR = 1 << 3,  /* ready only: the object has an error to fetch */
    AIO_WATCH_FAILED = 1 << 4, /* ready only, once: it can't be watched, `error` says why */
    AIO_WATCH_EDGE = 1 << 5,   /* wanted only: edge notification will do */
    AIO_WATCH_ONCE =
        1 << 6, /* ready only: the wait took the signal, and the next one won't tell again */
};

/*
 * The poller's view of a handler, embedded in it.
 *
 *            update(wanted != 0)                 update(0), kernel holds on
 *   IDLE ---------------------------> ARMED ------------------------------> CANCELLING
 *    ^                                  |  update(0), kernel let go              |
 *    +----------------------------------+<---------------------------------------+
 *                                                   wait: the last completion came
 *
 * The poller moves the state. Core frees a watch only when it is IDLE. A watch that FAILED is IDLE.
 */
typedef enum AioWatchState {
    AIO_WATCH_IDLE,
    AIO_WATCH_ARMED,
    AIO_WATCH_CANCELLING,
} AioWatchState;

typedef struct AioWatch {
    AioHandle handle;
    AioHandleKind kind;
    AioWatchState state;
    unsigned wanted;    /* what the last update asked for; core's to read, the poller's to write */
    unsigned ready;     /* what the last wait found */
    int error;          /* with FAILED: a negative errno value */
    AioNode ready_node; /* linked into the ready list, by wait; unlinked by core */
    AioNode own_node;   /* the poller's own */
    uint64_t own;       /* the poller's own */
} AioWatch;

static inline AioWatch *aio__watch_of_ready(AioNode *node)
{
    return AIO_CONTAINER_OF(node, AioWatch, ready_node);
}

static inline AioWatch *aio__watch_of_own(AioNode *node)
{
    return AIO_CONTAINER_OF(node, AioWatch, own_node);
}

/* Mark a watch as found ready: fresh facts replace old ones, and its place in the list is kept. */
static inline void aio__watch_set_ready(AioWatch *watch, unsigned ready, AioList *list)
{
    watch->ready = ready;
    if (!aio__node_linked(&watch->ready_node)) {
        aio__list_push(list, &watch->ready_node);
    }
}

enum {
    AIO_POLLER_EDGE = 1 << 0,   /* honours AIO_WATCH_EDGE */
    AIO_POLLER_HANDLE = 1 << 1, /* has one waitable handle */
};

typedef struct AioPoller AioPoller;

typedef struct AioPollerOps {
    const char *name;
    unsigned flags;

    /* Make one. 0, or a negative errno value where the system refuses it; core tries the next. */
    int (*open)(AioPoller **poller);

    /* Free it, with watches still armed or not; returns once the kernel holds none of them. */
    void (*close)(AioPoller *poller);

    /*
     * Watch for `wanted` from now on; 0: no longer. Adding, changing and removing are this one operation.
     * What fails is IDLE, with its error, and reported by the next wait, as FAILED. A removed watch is
     * not reported any more; but what was found ONCE and not dispatched stays in watch->ready, and is reported by the
     * next wait after it is wanted again. The same `wanted` again means that the handle may have been closed and opened
     * again meanwhile.
     */
    void (*update)(AioPoller *poller, AioWatch *watch, unsigned wanted);

    /*
     * Apply what updates left to do, sleep until a watch is ready or for timeout_ns (-1 for ever, 0 not at
     * all; rounded up, never early), and append ready watches to the list. Returns how many it appended or
     * found again, 0 when the time was up (or on wake, below), -EINTR where it returned early for no reason of ours,
     * or another negative errno value. What exceeds one batch stays in the kernel for the next call.
     */
    int (*wait)(AioPoller *poller, int64_t timeout_ns, AioList *ready);

    /*
     * Optional, for hosts that wait elsewhere: apply what updates left to do. Returns whether something is ready that
     * the host's wait would not show.
     */
    bool (*flush)(AioPoller *poller);

    /* Optional: whether wait(0) would find something, answered without a system call. */
    bool (*peek)(AioPoller *poller);

    /*
     * Optional, from any thread or signal handler: end the wait under way, or if none is, the next; it then returns what it
     * found, perhaps 0. As often as wanted; what came late ends a wait for nothing.
     *
     * Pollers without it watch the context's notifier, which is the first watch and needs no operation. That is the rule; this is
     * for those whose kernel object is itself what others write to (a completion port): a second object, with somebody in
     * between who waits for it and passes it on, would be slower than the rest of the wait. The notifier is then for hosts only, and not
     * watched.
     */
    void (*wake)(AioPoller *poller);

    /* Optional (AIO_POLLER_HANDLE): what a host waits on for reading, the same one for ever; AIO_HANDLE_NONE: refused. */
    AioHandle (*handle)(AioPoller *poller);
} AioPollerOps;

/* The first member of every poller. */
struct AioPoller {
    const AioPollerOps *ops;
};

/* All pollers of this build, best first; ends in NULL. Generated by CMake. */
extern const AioPollerOps *const aio__pollers[];

#endif
