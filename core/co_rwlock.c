/*
 * AioCoRwlock: many readers or one writer, strictly in the order of their coming.
 *
 * `owners` counts the readers inside, or is -1 for a writer. Whoever can't enter at once, or finds others
 * waiting, joins the queue; whoever leaves lets in as many from the head of the queue as go together. The
 * one who lets in changes `owners` on behalf of the one who enters. A mutex guards all of it, and is never
 * held while waiting.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>

#include "aioctx/co_lock.h"
#include "core/coroutine.h"

/* On the stack of its waiter until that is woken. */
typedef struct Ticket {
    AioCoroutine *co;    /* borrowed until it is woken */
    struct Ticket *next; /* linked */
    bool writer;
    bool granted;
} Ticket;

enum { WRITER_INSIDE = -1 };

void aio_co_rwlock_init(AioCoRwlock *lock)
{
    *lock = (AioCoRwlock){.owners = 0};
}

static bool may_enter(const AioCoRwlock *lock, bool writer)
{
    return writer ? lock->owners == 0 : lock->owners >= 0;
}

static void add_owner(AioCoRwlock *lock, bool writer)
{
    lock->owners = writer ? WRITER_INSIDE : lock->owners + 1;
}

/* Let in who can be let in. With the mutex held; those run later, since this is a coroutine. */
static void let_in(AioCoRwlock *lock, const char *by)
{
    Ticket *ticket;
    while ((ticket = lock->first) != NULL && may_enter(lock, ticket->writer)) {
        lock->first = ticket->next;
        add_owner(lock, ticket->writer);
        ticket->granted = true;
        aio__co_wake(aio_co_context(ticket->co), ticket->co, by);
    }
}

/* With the mutex held, which it drops. */
static void enter(AioCoRwlock *lock, bool writer)
{
    if (!lock->first && may_enter(lock, writer)) {
        add_owner(lock, writer);
        aio_co_mutex_unlock(&lock->mutex);
        return;
    }
    Ticket ticket = {.co = aio_co_self(), .writer = writer};
    if (lock->first) {
        ((Ticket *)lock->last)->next = &ticket;
    } else {
        lock->first = &ticket;
    }
    lock->last = &ticket;
    aio_co_mutex_unlock(&lock->mutex);
    aio_co_yield();
    assert(ticket.granted);
}

void aio_co_rwlock_rdlock(AioCoRwlock *lock)
{
    aio_co_mutex_lock(&lock->mutex);
    enter(lock, false);
}

void aio_co_rwlock_wrlock(AioCoRwlock *lock)
{
    aio_co_mutex_lock(&lock->mutex);
    enter(lock, true);
}

void aio_co_rwlock_upgrade(AioCoRwlock *lock)
{
    aio_co_mutex_lock(&lock->mutex);
    assert(lock->owners > 0);
    lock->owners--;
    let_in(lock, __func__);
    enter(lock, true);
}

void aio_co_rwlock_downgrade(AioCoRwlock *lock)
{
    aio_co_mutex_lock(&lock->mutex);
    assert(lock->owners == WRITER_INSIDE);
    lock->owners = 1;
    let_in(lock, __func__);
    aio_co_mutex_unlock(&lock->mutex);
}

void aio_co_rwlock_unlock(AioCoRwlock *lock)
{
    aio_co_mutex_lock(&lock->mutex);
    assert(lock->owners != 0);
    lock->owners = lock->owners == WRITER_INSIDE ? 0 : lock->owners - 1;
    let_in(lock, __func__);
    aio_co_mutex_unlock(&lock->mutex);
}
