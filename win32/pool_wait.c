/*
 * Waits by the system's thread pool.
 *
 * The pool waits for each handle once, and takes the signal of those that are consumed; the home thread has it wait again only
 * before the next sleep, after the callbacks have run. So a handle that stays signalled is reported once in each
 * iteration, and each signal of another exactly once. What lasts is looked at again when it is reported: a
 * handler may have reset it since.
 *
 * SPDX-License-Identifier: MIT
 */
#include "win32/pool_wait.h"

#include <errno.h>

#include "core/alloc.h"

/*
 * One handle.
 *
 *           arm                    the pool's callback                take
 *   IDLE ----------> ARMED ------------------------------> FIRED ----------> IDLE
 *    |                 | remove, once no callback runs        |
 *    +-----------------+---------------> freed <--------------+
 *
 * The home thread moves it, but for the callback; all under the lock.
 */
typedef enum AioPoolWaitState {
    AIO_POOL_WAIT_IDLE,
    AIO_POOL_WAIT_ARMED,
    AIO_POOL_WAIT_FIRED,
} AioPoolWaitState;

typedef struct AioPoolWait {
    AioObject object;
    AioPoolWaitState state;
    PTP_WAIT wait;      /* owned */
    AioPoolWaits *set;  /* borrowed: outlives it */
    AioNode node;       /* linked into set->all */
    AioNode idle_node;  /* linked into set->idle while IDLE */
    AioNode fired_node; /* linked into set->fired while FIRED */
} AioPoolWait;

static AioPoolWait *wait_of_node(AioNode *node)
{
    return AIO_CONTAINER_OF(node, AioPoolWait, node);
}

static AioPoolWait *wait_of_idle(AioNode *node)
{
    return AIO_CONTAINER_OF(node, AioPoolWait, idle_node);
}

static AioPoolWait *wait_of_fired(AioNode *node)
{
    return AIO_CONTAINER_OF(node, AioPoolWait, fired_node);
}

static AioPoolWait *wait_of_watch(const AioWatch *watch)
{
    return (AioPoolWait *)(uintptr_t)watch->own;
}

static void CALLBACK fired(PTP_CALLBACK_INSTANCE instance, void *opaque, PTP_WAIT wait,
                           TP_WAIT_RESULT result)
{
    AioPoolWait *self = opaque;
    AioPoolWaits *set = self->set;
    (void)instance, (void)wait, (void)result;
    AcquireSRWLockExclusive(&set->lock);
    self->state = AIO_POOL_WAIT_FIRED;
    aio__list_push(&set->fired, &self->fired_node);
    ReleaseSRWLockExclusive(&set->lock);
    set->wake(set->opaque); /* a removal waits for the end of this callback, so the set is there */
}

void aio__pool_waits_init(AioPoolWaits *set, void (*wake)(void *), void *opaque)
{
    InitializeSRWLock(&set->lock);
    aio__list_init(&set->all);
    aio__list_init(&set->idle);
    aio__list_init(&set->fired);
    set->count = 0;
    set->wake = wake;
    set->opaque = opaque;
}

/* Have the pool forget it, and free it. Returns whether a signal was taken that nobody was told of. */
static bool release(AioPoolWait *self)
{
    AioPoolWaits *set = self->set;
    SetThreadpoolWait(self->wait, NULL, NULL);
    WaitForThreadpoolWaitCallbacks(self->wait,
                                   FALSE); /* one that is queued has a signal to tell of */
    CloseThreadpoolWait(self->wait);
    AcquireSRWLockExclusive(&set->lock); /* other callbacks still run */
    aio__node_unlink(&self->fired_node);
    ReleaseSRWLockExclusive(&set->lock);
    bool untold = self->state == AIO_POOL_WAIT_FIRED && self->object.kind == AIO_OBJECT_CONSUMED;
    aio__node_unlink(&self->node);
    aio__node_unlink(&self->idle_node);
    set->count--;
    aio__free(self);
    return untold;
}

void aio__pool_waits_destroy(AioPoolWaits *set)
{
    AioNode *node;
    while ((node = aio__list_first(&set->all))) {
        release(wait_of_node(node));
    }
}

int aio__pool_waits_add(AioPoolWaits *set, AioWatch *watch, AioObjectKind kind)
{
    AioPoolWait *self = aio__calloc(1, sizeof(*self));
    if (!self) {
        return -ENOMEM;
    }
    self->wait = CreateThreadpoolWait(fired, self, NULL);
    if (!self->wait) {
        aio__free(self);
        return aio__last_error();
    }
    self->object = (AioObject){.watch = watch, .handle = (HANDLE)watch->handle, .kind = kind};
    self->set = set;
    aio__list_push(&set->all, &self->node);
    aio__list_push(&set->idle, &self->idle_node);
    set->count++;
    watch->own = (uintptr_t)self;
    return 0;
}

void aio__pool_waits_remove(AioPoolWaits *set, AioWatch *watch)
{
    (void)set;
    if (release(wait_of_watch(watch))) {
        watch->ready |= AIO_WATCH_READ | AIO_WATCH_ONCE;
    }
}

void aio__pool_waits_arm(AioPoolWaits *set)
{
    AioNode *next;
    for (AioNode *node = aio__list_first(&set->idle); node; node = next) {
        AioPoolWait *self = wait_of_idle(node);
        next = aio__list_next(&set->idle, node);
        if (aio__node_linked(&self->object.watch->ready_node)) {
            continue; /* found by an iteration further out: another signal would be lost on it */
        }
        aio__node_unlink(node);
        self->state = AIO_POOL_WAIT_ARMED; /* the pool does not know it: no lock */
        SetThreadpoolWait(self->wait, self->object.handle, NULL);
    }
}

int aio__pool_waits_take(AioPoolWaits *set, AioList *ready)
{
    int found = 0;
    AcquireSRWLockExclusive(&set->lock);
    AioNode *node;
    while ((node = aio__list_pop(&set->fired))) {
        AioPoolWait *self = wait_of_fired(node);
        self->state = AIO_POOL_WAIT_IDLE;
        aio__list_push(&set->idle, &self->idle_node);
        if (self->object.kind == AIO_OBJECT_CONSUMED ||
            WaitForSingleObject(self->object.handle, 0) == WAIT_OBJECT_0) {
            aio__object_report(&self->object, ready);
            found++;
        }
    }
    ReleaseSRWLockExclusive(&set->lock);
    return found;
}

int aio__pool_waits_probe(AioPoolWaits *set, bool all, AioList *ready)
{
    size_t left = all || set->count < MAXIMUM_WAIT_OBJECTS ? set->count : MAXIMUM_WAIT_OBJECTS;
    int found = 0;
    while (left > 0) {
        const AioObject *batch[MAXIMUM_WAIT_OBJECTS];
        size_t n = 0;
        for (; n < MAXIMUM_WAIT_OBJECTS && n < left; n++) {
            AioNode *node =
                aio__list_pop(&set->all); /* and to the end: the next call begins behind it */
            aio__list_push(&set->all, node);
            batch[n] = &wait_of_node(node)->object;
        }
        int more = aio__objects_probe(batch, n, ready);
        if (more < 0) {
            return more;
        }
        found += more;
        left -= n;
    }
    return found;
}

void aio__pool_waits_drop_bad(AioPoolWaits *set, AioList *ready, AioList *lost)
{
    AioNode *next;
    for (AioNode *node = aio__list_first(&set->all); node; node = next) {
        AioPoolWait *self = wait_of_node(node);
        AioWatch *watch = self->object.watch;
        next = aio__list_next(&set->all, node);
        int error = aio__object_blame(&self->object, ready);
        if (error) {
            release(self);
            watch->error = error;
            aio__list_push(lost, &watch->own_node);
        }
    }
}
