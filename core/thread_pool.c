/*
 * A pool of workers that serve one context. What a piece of work is, and the requests that users see, is not
 * known here (pool_request.c).
 *
 * Work goes to the workers through one queue under a lock; how it comes back is in pool_completion.c. Workers sleep each on a condition of
 * its own and are called last in, first out, so that those not needed are those that leave. One worker at most
 * is being called and one started at any moment: whoever arrives and finds more work than it can take calls or
 * starts the next. Hence no more of them wake than there is work, and the home thread pays for one.
 *
 * Invariant: where work is queued, a worker is on its way to it, or all are busy and no more are allowed (or
 * could be started).
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/thread_pool.h"

#include <assert.h>
#include <errno.h>

#include "core/alloc.h"
#include "core/context.h"
#include "core/pool_completion.h"
#include "core/request.h"

#define DEFAULT_MAX 64
#define PATIENCE_NS INT64_C(10000000000)
#define RETRY_NS INT64_C(100000000) /* after a thread was refused */

/*
 * One worker. All changes of its state are made under the pool's lock.
 *
 *              thread arrives               no work                    10 s, or too many
 *   STARTING ------------------> WORKING <-----------------> WAITING ---------------------> LEAVING
 *      ^                            |   CALLED <--- call ------+                              ^ |
 *      |                            +---- too many, or the pool ends -------------------------+ |
 *      +-------------------------- ENDED <-------------- joined by the next that leaves --------+
 *
 * A called worker is out of the idle list and becomes WORKING when it wakes. The last that leaves is joined by
 * aio__thread_pool_free(), the one place that frees workers: a caller signals after it has dropped the lock,
 * when the worker may be anywhere, so the memory stays and is used again. A child process that has a copy of
 * this has no threads; there the states mean nothing.
 */
typedef enum WorkerState {
    WORKER_STARTING,
    WORKER_WORKING,
    WORKER_WAITING,
    WORKER_CALLED,
    WORKER_LEAVING,
    WORKER_ENDED,
} WorkerState;

typedef struct Worker {
    AioThreadPool *pool; /* borrowed: outlives this */
    AioOsThread thread;  /* valid once `known` */
    AioCond wake;
    AioNode node; /* linked into AioThreadPool.idle while WAITING, into .ended while ENDED */
    struct Worker *all_next; /* linked into AioThreadPool.all */
    WorkerState state;
    bool known; /* whoever started the thread has noted its identity */
} Worker;

/* What is to be done about workers once the lock is dropped. */
typedef struct Errand {
    Worker *wake; /* borrowed: until the pool is freed; may be NULL */
    bool start;   /* `starting` is set */
} Errand;

struct AioThreadPool {
    AioContext *ctx;              /* borrowed: owns this */
    AioPoolCompletion completion; /* what goes home */
    AioBh *start_bh;              /* owned */
    int busy;                     /* at home only: queued or finished, and not done */

    AioMutex lock; /* guards all below */
    AioCond empty; /* live has become 0 */
    AioList queue; /* linked, first in first out */
    AioList idle;  /* linked: WAITING workers, the last that came in front */
    AioList ended; /* linked: ENDED workers */
    Worker *left;  /* linked: the last that left */
    Worker *all;   /* owned, and linked: the last made in front */
    int queued;    /* length of `queue` */
    int live;      /* workers neither LEAVING nor failed to start */
    int min;
    int max;
    int64_t patience_ns; /* how long a worker waits for work */
    int64_t retry_ns;    /* no thread is started before this time; 0: any time */
    int arriving;        /* workers STARTING */
    bool calling;        /* a worker is CALLED for work */
    bool starting;       /* somebody has been told to start a worker */
    bool ending;
};

static AioPoolWork *work_of_node(AioNode *node)
{
    return AIO_CONTAINER_OF(node, AioPoolWork, node);
}

static Worker *worker_of_node(AioNode *node)
{
    return AIO_CONTAINER_OF(node, Worker, node);
}

/* Whether there is work that no worker on its way will take, and room for one more. With the lock. */
static bool needs_worker(const AioThreadPool *pool)
{
    if (pool->ending || pool->live >= pool->max) {
        return false;
    }
    if (pool->live >= pool->min &&
        (!aio__list_empty(&pool->idle) || pool->queued <= (pool->calling ? 1 : 0))) {
        return false;
    }
    return pool->retry_ns == 0 || aio__monotonic_ns() >= pool->retry_ns;
}

/* See that somebody comes for queued work, a new worker, too, where the caller can start one. With the lock. */
static Errand summon(AioThreadPool *pool, bool can_start)
{
    Errand errand = {.wake = NULL};
    if (pool->queued > 0 && !pool->calling && !aio__list_empty(&pool->idle)) {
        errand.wake = worker_of_node(aio__list_pop(&pool->idle));
        errand.wake->state = WORKER_CALLED;
        pool->calling = true;
    }
    if (can_start && !pool->starting && pool->arriving == 0 && needs_worker(pool)) {
        pool->starting = errand.start = true;
    }
    return errand;
}

static void wake(Worker *worker)
{
    if (worker) {
        aio__cond_signal(&worker->wake);
    }
}

/* Whether there are more than `wanted`, and this one can be let go. With the lock. */
static bool is_surplus(const AioThreadPool *pool, const Worker *self, int wanted)
{
    return pool->live > wanted && self->known;
}

/* Wait for work. Returns whether to go on; with the lock. */
static bool wait_for_call(AioThreadPool *pool, Worker *self)
{
    self->state = WORKER_WAITING;
    aio__list_push_front(&pool->idle, &self->node);
    while (self->state == WORKER_WAITING) {
        bool in_time = true;
        if (pool->live > pool->min) {
            in_time = aio__cond_timedwait(&self->wake, &pool->lock, pool->patience_ns);
        } else {
            aio__cond_wait(&self->wake, &pool->lock);
        }
        if (!in_time && self->state == WORKER_WAITING && is_surplus(pool, self, pool->min)) {
            aio__node_unlink(&self->node);
            return false;
        }
    }
    self->state = WORKER_WORKING;
    pool->calling = false;
    return true;
}

/*
 * The end of a worker; drops the lock. It waits for the one that left before it, so that whoever joins the last
 * has joined all. Where it was called for work, another worker is there and waits for a call.
 */
static void leave(AioThreadPool *pool, Worker *self)
{
    self->state = WORKER_LEAVING;
    while (!self->known) { /* only where the pool ends: otherwise it would not be surplus */
        aio__cond_wait(&self->wake, &pool->lock);
    }
    Worker *former = pool->left;
    pool->left = self;
    if (--pool->live == 0) {
        aio__cond_signal(&pool->empty);
    }
    Worker *next = summon(pool, false).wake;
    aio__mutex_unlock(&pool->lock);
    wake(next);
    if (former) {
        aio__thread_join(&former->thread);
        aio__mutex_lock(&pool->lock);
        former->state = WORKER_ENDED;
        aio__list_push(&pool->ended, &former->node);
        aio__mutex_unlock(&pool->lock);
    }
}

static int start_worker(AioThreadPool *pool);

static void run_worker(void *opaque)
{
    Worker *self = opaque;
    AioThreadPool *pool = self->pool;
    bool fresh = true;
    aio__mutex_lock(&pool->lock);
    self->state = WORKER_WORKING;
    pool->arriving--;
    while (!pool->ending && !is_surplus(pool, self, pool->max)) {
        AioNode *node = aio__list_pop(&pool->queue);
        if (!node && !fresh) {
            if (!wait_for_call(pool, self)) {
                break;
            }
            continue;
        }
        if (node) {
            pool->queued--;
            work_of_node(node)->state = AIO_POOL_WORK_TAKEN;
        }
        Errand errand = summon(pool, true);
        fresh = false;
        aio__mutex_unlock(&pool->lock);
        wake(errand.wake);
        if (errand.start) {
            start_worker(pool); /* where it fails, those that are there carry on */
        }
        if (node) {
            AioPoolWork *work = work_of_node(node);
            work->run(work);
            aio__pool_completion_push(&pool->completion, work);
        }
        aio__mutex_lock(&pool->lock);
    }
    leave(pool, self);
}

/* A worker with no thread yet, or NULL where memory is refused. With the lock. */
static Worker *new_worker(AioThreadPool *pool)
{
    AioNode *ended = aio__list_pop(&pool->ended);
    Worker *worker = ended ? worker_of_node(ended) : aio__calloc(1, sizeof(*worker));
    if (!worker) {
        return NULL;
    }
    if (!ended) {
        worker->pool = pool;
        aio__cond_init(&worker->wake);
        worker->all_next = pool->all;
        pool->all = worker;
    }
    worker->state = WORKER_STARTING;
    worker->known = false;
    return worker;
}

/* Start a worker, as somebody was told to. */
static int start_worker(AioThreadPool *pool)
{
    aio__mutex_lock(&pool->lock);
    pool->starting = false;
    pool->arriving++;
    pool->live++;
    Worker *worker = new_worker(pool);
    aio__mutex_unlock(&pool->lock);

    int error =
        worker ? aio__thread_start(&worker->thread, "aio-worker", run_worker, worker) : -ENOMEM;

    aio__mutex_lock(&pool->lock);
    if (!error) {
        pool->retry_ns = 0;
        worker->known = true;
        aio__cond_signal(&worker->wake); /* it may be leaving already */
    } else {
        pool->retry_ns = aio__monotonic_ns() + RETRY_NS;
        pool->arriving--;
        pool->live--;
        if (worker) {
            worker->state = WORKER_ENDED;
            aio__list_push(&pool->ended, &worker->node);
        }
    }
    aio__mutex_unlock(&pool->lock);
    return error;
}

/* The bottom half that starts a worker, which then has the home thread's affinity. */
static void start_at_home(void *opaque)
{
    AioThreadPool *pool = opaque;
    aio__mutex_lock(&pool->lock);
    bool needed = pool->arriving == 0 && needs_worker(pool);
    pool->starting = needed;
    aio__mutex_unlock(&pool->lock);
    if (needed) {
        start_worker(pool); /* where it fails, those that are there carry on */
    }
}

AioThreadPool *aio__thread_pool_new(AioContext *ctx)
{
    AioThreadPool *pool = aio__calloc(1, sizeof(*pool));
    if (!pool) {
        return NULL;
    }
    pool->ctx = ctx;
    pool->max = DEFAULT_MAX;
    pool->patience_ns = PATIENCE_NS;
    pool->start_bh = aio_bh_new_full(ctx, start_at_home, pool, "thread pool start", NULL, NULL);
    aio__list_init(&pool->queue);
    aio__list_init(&pool->idle);
    aio__list_init(&pool->ended);
    aio__mutex_init(&pool->lock);
    aio__cond_init(&pool->empty);
    if (aio__pool_completion_init(&pool->completion, ctx, &pool->busy) || !pool->start_bh) {
        aio__thread_pool_free(pool);
        return NULL;
    }
    return pool;
}

/* Have all waiting workers look around. With the lock. */
static void call_all(AioThreadPool *pool)
{
    AioNode *node;
    while ((node = aio__list_pop(&pool->idle))) {
        Worker *worker = worker_of_node(node);
        worker->state = WORKER_CALLED;
        wake(worker);
    }
}

/* Have all threads end, and leave nobody behind who knows of the pool. */
static void end_workers(AioThreadPool *pool)
{
    assert(pool->busy == 0);
    aio__mutex_lock(&pool->lock);
    pool->ending = true;
    call_all(pool);
    while (pool->live > 0) {
        aio__cond_wait(&pool->empty, &pool->lock);
    }
    Worker *last = pool->left;
    aio__mutex_unlock(&pool->lock);
    if (last) {
        aio__thread_join(&last->thread); /* which has joined the one before it, and so on */
    }
    for (Worker *worker = pool->all; worker; worker = worker->all_next) {
        aio__cond_destroy(&worker->wake);
    }
    aio__cond_destroy(&pool->empty);
    aio__mutex_destroy(&pool->lock);
}

void aio__thread_pool_free(AioThreadPool *pool)
{
    if (!pool) {
        return;
    }
    /* A copy has no threads, though its conditions count them as waiting and its lock may be held. */
    if (!aio__is_copy(pool->ctx)) {
        end_workers(pool);
    }
    while (pool->all) {
        Worker *worker = pool->all;
        pool->all = worker->all_next;
        aio__free(worker);
    }
    aio__pool_completion_destroy(&pool->completion);
    if (pool->start_bh) {
        aio_bh_delete(pool->start_bh);
    }
    aio__free(pool);
}

AioContext *aio__thread_pool_context(const AioThreadPool *pool)
{
    return pool->ctx;
}

int aio__thread_pool_busy(const AioThreadPool *pool)
{
    return pool->busy;
}

/* With the lock. */
static void unqueue(AioThreadPool *pool, AioPoolWork *work, AioPoolWorkState state)
{
    aio__node_unlink(&work->node);
    pool->queued--;
    work->state = state;
}

/* Start the first worker, for this work. Where that fails nobody can have taken it. */
static int start_first_worker(AioThreadPool *pool, AioPoolWork *work)
{
    int error = start_worker(pool);
    if (error) {
        aio__mutex_lock(&pool->lock);
        unqueue(pool, work, AIO_POOL_WORK_IDLE);
        aio__mutex_unlock(&pool->lock);
    }
    return error;
}

int aio__thread_pool_queue(AioThreadPool *pool, AioPoolWork *work)
{
    Errand errand = {.wake = NULL};
    int error = 0;
    assert(aio__at_home(pool->ctx));
    assert(work->state == AIO_POOL_WORK_IDLE);
    aio__mutex_lock(&pool->lock);
    bool is_first = pool->live == 0;
    work->state = AIO_POOL_WORK_QUEUED;
    aio__list_push(&pool->queue, &work->node);
    pool->queued++;
    if (!is_first) {
        errand = summon(pool, true);
    }
    aio__mutex_unlock(&pool->lock);
    wake(errand.wake);
    if (errand.start) {
        aio_bh_schedule(pool->start_bh);
    } else if (is_first) {
        error = start_first_worker(pool, work); /* only now can the caller be told */
    }
    pool->busy += !error;
    return error;
}

void aio__thread_pool_finish(AioThreadPool *pool, AioPoolWork *work)
{
    assert(aio__at_home(pool->ctx));
    assert(work->state == AIO_POOL_WORK_IDLE);
    work->state = AIO_POOL_WORK_TAKEN;
    pool->busy++;
    aio__pool_completion_push(&pool->completion, work);
}

void aio__thread_pool_cancel(AioThreadPool *pool, AioPoolWork *work)
{
    assert(aio__at_home(pool->ctx));
    aio__mutex_lock(&pool->lock);
    bool taken_back = work->state == AIO_POOL_WORK_QUEUED;
    if (taken_back) {
        unqueue(pool, work, AIO_POOL_WORK_CANCELLED);
    }
    aio__mutex_unlock(&pool->lock);
    if (taken_back) {
        aio__pool_completion_push(&pool->completion, work);
    }
}

void aio__thread_pool_bound(AioThreadPool *pool, int min, int max)
{
    assert(aio__at_home(pool->ctx));
    assert(0 <= min && min <= max && 1 <= max);
    aio__mutex_lock(&pool->lock);
    pool->min = min;
    pool->max = max;
    call_all(pool);
    bool start = summon(pool, true).start; /* nobody is left waiting who could be woken */
    aio__mutex_unlock(&pool->lock);
    if (start) {
        aio_bh_schedule(pool->start_bh);
    }
}

int aio__thread_pool_workers(AioThreadPool *pool)
{
    aio__mutex_lock(&pool->lock);
    int live = pool->live;
    aio__mutex_unlock(&pool->lock);
    return live;
}

void aio__thread_pool_set_patience(AioThreadPool *pool, int64_t ns)
{
    aio__mutex_lock(&pool->lock);
    pool->patience_ns = ns;
    aio__mutex_unlock(&pool->lock);
}
