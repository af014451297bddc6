/*
 * A pool of workers that serve one context. What a piece of work is, and the requests that users see, is not
 * known here (pool_request.c).
 *
 * Work goes to the workers through one queue under a lock, and comes back through a lock-free list and one
 * bottom half, so that work finished meanwhile is completed in one go. Workers sleep each on a condition of
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
#include <stdatomic.h>

#include "aioctx/error.h"
#include "core/alloc.h"
#include "core/context.h"
#include "core/request.h"

#define DEFAULT_MAX 64
#define PATIENCE_NS INT64_C(10000000000)
#define RETRY_NS INT64_C(100000000) /* after a thread was refused */

/*
 * One worker. All changes of its state are made under the pool's lock.
 *
 *              thread arrives               no work                    10 s, or too many
 *   STARTING ------------------> WORKING <-----------------> WAITING ---------------------> LEAVING
 *                                   |   CALLED <--- call ------+                              ^
 *                                   +---- too many, or the pool ends -------------------------+
 *
 * A called worker is out of the idle list and becomes WORKING when it wakes. One that leaves is joined and
 * freed by the next that leaves, the last one by aio__thread_pool_free().
 */
typedef enum WorkerState {
    WORKER_STARTING,
    WORKER_WORKING,
    WORKER_WAITING,
    WORKER_CALLED,
    WORKER_LEAVING,
} WorkerState;

typedef struct Worker {
    AioThreadPool *pool; /* borrowed: outlives this */
    AioOsThread thread;  /* valid once `known` */
    AioCond wake;
    AioNode node; /* linked into AioThreadPool.idle while WAITING */
    WorkerState state;
    bool known; /* whoever started the thread has noted its identity */
} Worker;

struct AioThreadPool {
    AioContext *ctx;                 /* borrowed: owns this */
    AioBh *completion_bh;            /* owned */
    AioBh *start_bh;                 /* owned */
    _Atomic(AioPoolWork *) finished; /* linked, last in first out: pushed anywhere, taken at home */
    AioList completed;               /* linked; at home only: not done yet */
    int busy;                        /* at home only */

    AioMutex lock; /* guards all below */
    AioCond empty; /* live has become 0 */
    AioList queue; /* linked, first in first out */
    AioList idle;  /* linked: WAITING workers, the last that came in front */
    Worker *left;  /* owned: the last that left */
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

/* Wake a waiting worker. Under the lock, so that it can't have left before the signal. */
static void call(Worker *worker)
{
    aio__node_unlink(&worker->node);
    worker->state = WORKER_CALLED;
    aio__cond_signal(&worker->wake);
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

/*
 * See that somebody comes for queued work. Returns whether the caller is to start a worker (`starting` is set
 * then). With the lock.
 */
static bool summon(AioThreadPool *pool)
{
    if (pool->queued > 0 && !pool->calling && !aio__list_empty(&pool->idle)) {
        pool->calling = true;
        call(worker_of_node(aio__list_first(&pool->idle)));
    }
    if (pool->starting || pool->arriving > 0 || !needs_worker(pool)) {
        return false;
    }
    pool->starting = true;
    return true;
}

/* Hand finished work to the home thread. From here on a worker has nothing to do with it. */
static void push_finished(AioThreadPool *pool, AioPoolWork *work)
{
    AioPoolWork *head = atomic_load_explicit(&pool->finished, memory_order_relaxed);
    do {
        work->finished_next = head;
        /* Release, for the results of the work: pairs with take_finished(). */
    } while (!atomic_compare_exchange_weak_explicit(&pool->finished, &head, work,
                                                    memory_order_release, memory_order_relaxed));
    aio_bh_schedule(pool->completion_bh);
}

/* Append what has finished to the completed list, oldest first. */
static void take_finished(AioThreadPool *pool)
{
    /* Acquire: pairs with push_finished(). */
    AioPoolWork *work = atomic_exchange_explicit(&pool->finished, NULL, memory_order_acquire);
    AioList taken;
    aio__list_init(&taken);
    for (; work; work = work->finished_next) {
        aio__list_push_front(&taken, &work->node);
    }
    aio__list_splice(&pool->completed, &taken);
}

/*
 * The bottom half that completes work. A callback may run the context and wait there for another piece of
 * work that finished together with its own; so while some are left, this is scheduled again, and that is
 * taken back when all are done, lest the loop run once more for nothing.
 */
static void complete(void *opaque)
{
    AioThreadPool *pool = opaque;
    bool scheduled = false;
    AioNode *node;
    take_finished(pool);
    while ((node = aio__list_pop(&pool->completed))) {
        AioPoolWork *work = work_of_node(node);
        bool cancelled = work->state == AIO_POOL_WORK_CANCELLED;
        if (!scheduled && !aio__list_empty(&pool->completed)) {
            scheduled = true;
            aio_bh_schedule(pool->completion_bh);
        }
        pool->busy--;
        work->state = AIO_POOL_WORK_IDLE;
        work->done(work, cancelled);
    }
    if (scheduled) {
        aio_bh_cancel(pool->completion_bh);
        /* What was pushed before the cancel is seen here, as the cancel acquires; what comes later
         * schedules by itself. */
        if (atomic_load_explicit(&pool->finished, memory_order_relaxed)) {
            aio_bh_schedule(pool->completion_bh);
        }
    }
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
        if (!in_time && self->state == WORKER_WAITING && pool->live > pool->min) {
            aio__node_unlink(&self->node);
            return false;
        }
    }
    self->state = WORKER_WORKING;
    pool->calling = false;
    return true;
}

/* The end of a worker: takes and releases the lock as the last thing it does with the pool. */
static void leave(AioThreadPool *pool, Worker *self)
{
    self->state = WORKER_LEAVING;
    while (!self->known) {
        aio__cond_wait(&self->wake, &pool->lock);
    }
    Worker *former = pool->left;
    pool->left = self;
    if (--pool->live == 0) {
        aio__cond_signal(&pool->empty);
    }
    aio__mutex_unlock(&pool->lock);
    if (former) {
        aio__thread_join(&former->thread);
        aio__cond_destroy(&former->wake);
        aio__free(former);
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
    while (!pool->ending && pool->live <= pool->max) {
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
        bool start = summon(pool);
        fresh = false;
        aio__mutex_unlock(&pool->lock);
        if (start) {
            start_worker(pool); /* where it fails, those that are there carry on */
        }
        if (node) {
            AioPoolWork *work = work_of_node(node);
            work->run(work);
            push_finished(pool, work);
        }
        aio__mutex_lock(&pool->lock);
    }
    leave(pool, self);
}

/* Start a worker, as somebody was told to. */
static int start_worker(AioThreadPool *pool)
{
    Worker *worker = aio__calloc(1, sizeof(*worker));
    int error = -ENOMEM;
    aio__mutex_lock(&pool->lock);
    pool->starting = false;
    pool->arriving++;
    pool->live++;
    aio__mutex_unlock(&pool->lock);
    if (worker) {
        worker->pool = pool;
        worker->state = WORKER_STARTING;
        aio__cond_init(&worker->wake);
        error = aio__thread_start(&worker->thread, "aio-worker", run_worker, worker);
    }
    aio__mutex_lock(&pool->lock);
    if (!error) {
        pool->retry_ns = 0;
        worker->known = true;
        aio__cond_signal(&worker->wake); /* it may be leaving already */
    } else {
        pool->retry_ns = aio__monotonic_ns() + RETRY_NS;
        pool->arriving--;
        pool->live--;
    }
    aio__mutex_unlock(&pool->lock);
    if (error && worker) {
        aio__cond_destroy(&worker->wake);
        aio__free(worker);
    }
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
    pool->completion_bh =
        aio_bh_new_full(ctx, complete, pool, "thread pool completion", NULL, NULL);
    pool->start_bh = aio_bh_new_full(ctx, start_at_home, pool, "thread pool start", NULL, NULL);
    if (!pool->completion_bh || !pool->start_bh) {
        goto no_memory;
    }
    aio__list_init(&pool->completed);
    aio__list_init(&pool->queue);
    aio__list_init(&pool->idle);
    aio__mutex_init(&pool->lock);
    aio__cond_init(&pool->empty);
    return pool;

no_memory:
    if (pool->completion_bh) {
        aio_bh_delete(pool->completion_bh);
    }
    if (pool->start_bh) {
        aio_bh_delete(pool->start_bh);
    }
    aio__free(pool);
    return NULL;
}

/* Have all waiting workers look around. With the lock. */
static void call_all(AioThreadPool *pool)
{
    AioNode *node;
    while ((node = aio__list_first(&pool->idle))) {
        call(worker_of_node(node));
    }
}

void aio__thread_pool_free(AioThreadPool *pool)
{
    if (!pool) {
        return;
    }
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
        aio__cond_destroy(&last->wake);
        aio__free(last);
    }
    aio_bh_delete(pool->completion_bh);
    aio_bh_delete(pool->start_bh);
    aio__cond_destroy(&pool->empty);
    aio__mutex_destroy(&pool->lock);
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

int aio__thread_pool_queue(AioThreadPool *pool, AioPoolWork *work)
{
    assert(aio__may_submit(pool->ctx));
    assert(work->state == AIO_POOL_WORK_IDLE);
    aio__mutex_lock(&pool->lock);
    if (pool->live == 0) {
        /* Only now can the caller be told that there will be no worker. None arrives in between, as none is
         * there to start one. */
        aio__mutex_unlock(&pool->lock);
        int error = start_worker(pool);
        if (error) {
            return error;
        }
        aio__mutex_lock(&pool->lock);
    }
    work->state = AIO_POOL_WORK_QUEUED;
    aio__list_push(&pool->queue, &work->node);
    pool->queued++;
    bool start = summon(pool);
    aio__mutex_unlock(&pool->lock);
    pool->busy++;
    if (start) {
        aio_bh_schedule(pool->start_bh);
    }
    return 0;
}

void aio__thread_pool_finish(AioThreadPool *pool, AioPoolWork *work)
{
    assert(aio__may_submit(pool->ctx));
    assert(work->state == AIO_POOL_WORK_IDLE);
    work->state = AIO_POOL_WORK_TAKEN;
    pool->busy++;
    push_finished(pool, work);
}

void aio__thread_pool_cancel(AioThreadPool *pool, AioPoolWork *work)
{
    assert(aio__may_submit(pool->ctx));
    aio__mutex_lock(&pool->lock);
    bool taken_back = work->state == AIO_POOL_WORK_QUEUED;
    if (taken_back) {
        aio__node_unlink(&work->node);
        pool->queued--;
        work->state = AIO_POOL_WORK_CANCELLED;
    }
    aio__mutex_unlock(&pool->lock);
    if (taken_back) {
        push_finished(pool, work);
    }
}

AioThreadPool *aio_get_thread_pool(AioContext *ctx)
{
    assert(aio__may_submit(ctx));
    if (!ctx->pool) {
        ctx->pool = aio__thread_pool_new(ctx);
    }
    return ctx->pool;
}

bool aio_thread_pool_set_bounds(AioThreadPool *pool, int min, int max, AioError **errp)
{
    assert(aio__may_submit(pool->ctx));
    if (max < 1) {
        aio_error_set(errp, EINVAL, "A thread pool can't have %d workers at most", max);
        return false;
    }
    if (min < 0 || min > max) {
        aio_error_set(errp, EINVAL, "A thread pool of %d workers at most can't keep %d", max, min);
        return false;
    }
    aio__mutex_lock(&pool->lock);
    pool->min = min;
    pool->max = max;
    call_all(pool);
    bool start = summon(pool);
    aio__mutex_unlock(&pool->lock);
    if (start) {
        aio_bh_schedule(pool->start_bh);
    }
    return true;
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
