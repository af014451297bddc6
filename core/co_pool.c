/*
 * Coroutines that have ended, kept with their stacks for the next to be created.
 *
 * The pool belongs to the process: coroutines may well be created in one thread and end in another. It is
 * split into parts, each with a lock that is never waited for, so that threads seldom meet and never stop
 * each other; a thread prefers its own part. The parts' shares add up to the limit of the whole, hence no
 * thread needs to be told to give back anything when it ends or the limit falls.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "aioctx/error.h"
#include "core/alloc.h"
#include "core/coroutine.h"
#include "core/platform.h"

#define PARTS 8
#define MAX_LIMIT 16384

typedef struct Part {
    _Alignas(64) atomic_flag locked;
    _Atomic int count;   /* written under the lock; read without to pass over empty and full ones */
    AioCoroutine *first; /* linked; owned */
} Part;

static Part parts[PARTS] = {
    {.locked = ATOMIC_FLAG_INIT}, {.locked = ATOMIC_FLAG_INIT}, {.locked = ATOMIC_FLAG_INIT},
    {.locked = ATOMIC_FLAG_INIT}, {.locked = ATOMIC_FLAG_INIT}, {.locked = ATOMIC_FLAG_INIT},
    {.locked = ATOMIC_FLAG_INIT}, {.locked = ATOMIC_FLAG_INIT},
};
static _Atomic int limit = 256;
static atomic_uint threads;
static _Thread_local unsigned own_part; /* from 1; 0: not chosen yet */

static bool try_lock(Part *part)
{
    /* Acquire: pairs with unlock(). */
    return !atomic_flag_test_and_set_explicit(&part->locked, memory_order_acquire);
}

static void unlock(Part *part)
{
    /* Release: pairs with try_lock(). */
    atomic_flag_clear_explicit(&part->locked, memory_order_release);
}

static int count_of(Part *part)
{
    return atomic_load_explicit(&part->count, memory_order_relaxed);
}

static int share(unsigned index)
{
    int max = atomic_load_explicit(&limit, memory_order_relaxed);
    return max / PARTS + ((int)index < max % PARTS);
}

static AioCoroutine *pop(Part *part)
{
    AioCoroutine *co = part->first;
    if (co) {
        part->first = co->next;
        atomic_store_explicit(&part->count, count_of(part) - 1, memory_order_relaxed);
    }
    return co;
}

/* Where this thread begins to look. The caller switches to no coroutine, so it stays in its thread. */
static unsigned first_part(void)
{
    if (!own_part) {
        own_part = 1 + atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % PARTS;
    }
    return own_part - 1;
}

static AioCoroutine *take(void)
{
    unsigned first = first_part();
    for (unsigned i = 0; i < PARTS; i++) {
        Part *part = &parts[(first + i) % PARTS];
        if (count_of(part) > 0 && try_lock(part)) {
            AioCoroutine *co = pop(part);
            unlock(part);
            if (co) {
                return co;
            }
        }
    }
    return NULL;
}

static bool give(AioCoroutine *co)
{
    unsigned first = first_part();
    for (unsigned i = 0; i < PARTS; i++) {
        unsigned index = (first + i) % PARTS;
        Part *part = &parts[index];
        if (count_of(part) < share(index) && try_lock(part)) {
            bool room = count_of(part) < share(index);
            if (room) {
                co->next = part->first;
                part->first = co;
                atomic_store_explicit(&part->count, count_of(part) + 1, memory_order_relaxed);
            }
            unlock(part);
            if (room) {
                return true;
            }
        }
    }
    return false;
}

static void destroy(AioCoroutine *co)
{
    aio__co_state_destroy(&co->state);
    aio__free(co);
}

AIO__NOT_INLINED int aio__co_pool_get(AioCoroutine **co, void (*run)(void *))
{
    *co = take();
    if (*co) {
        return 0;
    }
    AioCoroutine *fresh = aio__calloc(1, sizeof(*fresh));
    if (!fresh) {
        return -ENOMEM;
    }
    int ret = aio__co_state_init(&fresh->state, AIO_CO_STACK_SIZE, run, fresh);
    if (ret < 0) {
        aio__free(fresh);
        return ret;
    }
    *co = fresh;
    return 0;
}

AIO__NOT_INLINED void aio__co_pool_put(AioCoroutine *co)
{
    if (!give(co)) {
        destroy(co);
    }
}

bool aio_co_pool_set_max(int max, AioError **errp)
{
    if (max < 0 || max > MAX_LIMIT) {
        aio_error_set(errp, EINVAL, "a pool of %d coroutines: 0 to %d are possible", max,
                      MAX_LIMIT);
        return false;
    }
    atomic_store_explicit(&limit, max, memory_order_relaxed);
    for (unsigned i = 0; i < PARTS; i++) {
        AioCoroutine *excess = NULL;
        while (!try_lock(&parts[i])) {
            aio__thread_yield();
        }
        /* Whoever gives under this lock later sees the new limit. */
        while (count_of(&parts[i]) > share(i)) {
            AioCoroutine *co = pop(&parts[i]);
            co->next = excess;
            excess = co;
        }
        unlock(&parts[i]);
        while (excess) {
            AioCoroutine *co = excess;
            excess = co->next;
            destroy(co);
        }
    }
    return true;
}
