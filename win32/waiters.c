/*
 * Threads that wait for handles. Each waits for an event by which it is told of changes, and for up to 63 handles; what it finds
 * signalled it puts into a list, and waits for that one no more until it is told to. The home thread does so before its next
 * sleep, after the callbacks have run: so a handle that stays signalled is reported once in each iteration, and each signal of
 * another exactly once. What lasts is looked at again when it is reported: a handler may have reset it since.
 *
 * The system's thread pool could do the same waits, but for one thing: where a wait is called off in the moment in which it
 * takes a signal, the pool does not say that it took one. A waiter here answers: once it has taken note of what was asked
 * of it, whatever it took before is in the list.
 *
 * SPDX-License-Identifier: MIT
 */
#include "win32/waiters.h"

#include <errno.h>

#include "core/alloc.h"

#define ENTRIES_MAX (MAXIMUM_WAIT_OBJECTS - 1)

typedef struct Waiter Waiter;

/*
 * One handle. All moves are under the lock.
 *
 *                              the waiter: signalled
 *              +---------------------------------------------------+
 *              |                          the same                 v
 *   IDLE ----> ARMED ----> WITHDRAWN ---------------------------> FIRED ----> IDLE
 *    ^   arm       withdraw    |                                        take
 *    +-------------------------+ withdraw, once the waiter has taken note
 */
typedef enum EntryState {
    ENTRY_IDLE,
    ENTRY_ARMED,
    ENTRY_WITHDRAWN,
    ENTRY_FIRED,
} EntryState;

typedef struct Entry {
    AioObject object;
    EntryState state;
    Waiter *waiter; /* borrowed: outlives it */
    size_t place;   /* in the waiter */
    AioNode node;   /* linked into set->idle while IDLE, into set->fired while FIRED */
} Entry;

struct Waiter {
    AioWaiters *set; /* borrowed: outlives it */
    AioOsThread thread;
    HANDLE control;              /* owned; auto-reset: something is asked of it */
    Entry *entries[ENTRIES_MAX]; /* owned; guarded by the lock, as the next four */
    size_t count;
    unsigned asked; /* a number for each time that something was */
    unsigned noted; /* that of the last that it knows of */
    bool ending;
    bool addressed; /* home only: `asked` has changed, `control` is not set yet */
    AioNode node;   /* linked into set->threads */
};

static Waiter *waiter_of_node(AioNode *node)
{
    return AIO_CONTAINER_OF(node, Waiter, node);
}

static Entry *entry_of_node(AioNode *node)
{
    return AIO_CONTAINER_OF(node, Entry, node);
}

static Entry *entry_of_watch(const AioWatch *watch)
{
    return (Entry *)(uintptr_t)watch->own;
}

/* Copy out what to wait for. Returns how many handles. */
static DWORD take_note(Waiter *self, HANDLE *handles, Entry **entries, bool *ending)
{
    AioWaiters *set = self->set;
    DWORD n = 0;
    handles[n++] = self->control;
    aio__mutex_lock(&set->lock);
    for (size_t i = 0; i < self->count; i++) {
        if (self->entries[i]->state == ENTRY_ARMED) {
            entries[n] = self->entries[i];
            handles[n++] = self->entries[i]->object.handle;
        }
    }
    self->noted = self->asked;
    *ending = self->ending;
    aio__cond_broadcast(&set->seen);
    aio__mutex_unlock(&set->lock);
    return n;
}

static void fire(Waiter *self, Entry *entry)
{
    AioWaiters *set = self->set;
    aio__mutex_lock(&set->lock);
    entry->state = ENTRY_FIRED;
    aio__list_push(&set->fired, &entry->node);
    aio__mutex_unlock(&set->lock);
    set->wake(set->opaque);
}

static void count_broken(AioWaiters *set, int more)
{
    aio__mutex_lock(&set->lock);
    set->broken += more;
    aio__mutex_unlock(&set->lock);
}

/*
 * Which handle it is, home finds out: it has a use for the answer. Until something is asked there is nothing to wait for; and
 * perhaps that is to let go of this very handle.
 */
static void give_up(Waiter *self)
{
    AioWaiters *set = self->set;
    count_broken(set, 1);
    set->wake(set->opaque);
    WaitForSingleObject(self->control, INFINITE);
    count_broken(set, -1);
}

static void run(void *opaque)
{
    Waiter *self = opaque;
    HANDLE handles[MAXIMUM_WAIT_OBJECTS];
    Entry *entries[MAXIMUM_WAIT_OBJECTS];
    for (;;) {
        bool ending;
        DWORD n = take_note(self, handles, entries, &ending);
        if (ending) {
            return;
        }
        DWORD answer = WaitForMultipleObjects(n, handles, FALSE, INFINITE);
        if (answer == WAIT_FAILED) {
            give_up(self);
        } else if (answer != WAIT_OBJECT_0) {
            fire(self, entries[answer - WAIT_OBJECT_0]);
        }
    }
}

void aio__waiters_init(AioWaiters *set, void (*wake)(void *), void *opaque)
{
    *set = (AioWaiters){.wake = wake, .opaque = opaque};
    aio__mutex_init(&set->lock);
    aio__cond_init(&set->seen);
    aio__list_init(&set->threads);
    aio__list_init(&set->idle);
    aio__list_init(&set->fired);
}

/* With the lock held. */
static void ask(Waiter *waiter)
{
    waiter->asked++;
    waiter->addressed = true;
}

/* Tell those of whom something was asked. */
static void tell(AioWaiters *set)
{
    for (AioNode *node = aio__list_first(&set->threads); node;
         node = aio__list_next(&set->threads, node)) {
        Waiter *waiter = waiter_of_node(node);
        if (waiter->addressed) {
            waiter->addressed = false;
            SetEvent(waiter->control);
        }
    }
}

static int start_waiter(AioWaiters *set)
{
    int error = -ENOMEM;
    Waiter *waiter = aio__calloc(1, sizeof(*waiter));
    if (!waiter) {
        return error;
    }
    waiter->set = set;
    waiter->control = CreateEventW(NULL, FALSE, FALSE, NULL);
    if (!waiter->control) {
        error = aio__last_error();
        goto no_control;
    }
    error = aio__thread_start(&waiter->thread, "aio-waiter", run, waiter);
    if (error) {
        goto no_thread;
    }
    aio__list_push_front(&set->threads, &waiter->node);
    return 0;

no_thread:
    CloseHandle(waiter->control);
no_control:
    aio__free(waiter);
    return error;
}

static void end_waiter(Waiter *waiter)
{
    AioWaiters *set = waiter->set;
    aio__mutex_lock(&set->lock);
    waiter->ending = true;
    aio__mutex_unlock(&set->lock);
    SetEvent(waiter->control);
    aio__thread_join(&waiter->thread);
    for (size_t i = 0; i < waiter->count; i++) {
        aio__free(waiter->entries[i]);
    }
    CloseHandle(waiter->control);
    aio__free(waiter);
}

void aio__waiters_destroy(AioWaiters *set)
{
    AioNode *node;
    while ((node = aio__list_pop(&set->threads))) {
        end_waiter(waiter_of_node(node));
    }
    aio__cond_destroy(&set->seen);
    aio__mutex_destroy(&set->lock);
}

/* A waiter with room: the first, where any has. */
static int join_waiter(AioWaiters *set, Entry *entry)
{
    AioNode *first = aio__list_first(&set->threads);
    if (!first || waiter_of_node(first)->count == ENTRIES_MAX) {
        int error = start_waiter(set);
        if (error) {
            return error;
        }
    }
    Waiter *waiter = waiter_of_node(aio__list_first(&set->threads));
    aio__mutex_lock(&set->lock);
    entry->waiter = waiter;
    entry->place = waiter->count++;
    waiter->entries[entry->place] = entry;
    aio__mutex_unlock(&set->lock);
    if (waiter->count == ENTRIES_MAX) {
        aio__node_unlink(&waiter->node);
        aio__list_push(&set->threads, &waiter->node);
    }
    return 0;
}

/* The last one fills its place. */
static void leave_waiter(Entry *entry)
{
    Waiter *waiter = entry->waiter;
    AioWaiters *set = waiter->set;
    aio__mutex_lock(&set->lock);
    Entry *last = waiter->entries[--waiter->count];
    waiter->entries[entry->place] = last;
    last->place = entry->place;
    aio__mutex_unlock(&set->lock);
    aio__node_unlink(&waiter->node);
    aio__list_push_front(&set->threads, &waiter->node);
}

static int add(AioWaiters *set, AioWatch *watch, AioObjectKind kind)
{
    Entry *entry = aio__calloc(1, sizeof(*entry));
    if (!entry) {
        return -ENOMEM;
    }
    entry->object = (AioObject){.watch = watch, .handle = (HANDLE)watch->handle, .kind = kind};
    int error = join_waiter(set, entry);
    if (error) {
        aio__free(entry);
        return error;
    }
    aio__list_push(&set->idle, &entry->node);
    watch->own = (uintptr_t)entry;
    return 0;
}

/* With the lock held. */
static void rest(AioWaiters *set, Entry *entry)
{
    entry->state = ENTRY_IDLE;
    aio__list_push(&set->idle, &entry->node);
    set->armed--;
}

/* With the lock held: ask a waiter to let go of one entry, or of all (NULL). */
static void ask_back(Waiter *waiter, const Entry *only)
{
    for (size_t i = 0; i < waiter->count; i++) {
        Entry *entry = waiter->entries[i];
        if (entry->state == ENTRY_ARMED && (!only || entry == only)) {
            entry->state = ENTRY_WITHDRAWN;
            ask(waiter);
        }
    }
}

/* With the lock held: wait until a waiter has told of whatever it took before it was asked. */
static void get_back(Waiter *waiter)
{
    AioWaiters *set = waiter->set;
    while (waiter->noted != waiter->asked) {
        aio__cond_wait(&set->seen, &set->lock);
    }
    for (size_t i = 0; i < waiter->count; i++) {
        if (waiter->entries[i]->state == ENTRY_WITHDRAWN) {
            rest(set, waiter->entries[i]);
        }
    }
}

bool aio__waiters_withdraw(AioWaiters *set)
{
    AioNode *node;
    if (set->armed == 0) {
        return false;
    }
    aio__mutex_lock(&set->lock);
    for (node = aio__list_first(&set->threads); node; node = aio__list_next(&set->threads, node)) {
        ask_back(waiter_of_node(node), NULL);
    }
    tell(set);
    for (node = aio__list_first(&set->threads); node; node = aio__list_next(&set->threads, node)) {
        get_back(waiter_of_node(node));
    }
    aio__mutex_unlock(&set->lock);
    return set->armed > 0;
}

/* Free an entry. Returns whether a signal was taken that nobody was told of. */
static bool release(AioWaiters *set, Entry *entry)
{
    aio__mutex_lock(&set->lock);
    ask_back(entry->waiter, entry);
    tell(set);
    get_back(entry->waiter);
    bool fired = entry->state == ENTRY_FIRED;
    if (fired) {
        aio__node_unlink(&entry->node);
        rest(set, entry);
    }
    aio__mutex_unlock(&set->lock);
    bool untold = fired && entry->object.kind == AIO_OBJECT_CONSUMED;
    leave_waiter(entry);
    aio__node_unlink(&entry->node);
    aio__free(entry);
    return untold;
}

int aio__waiters_update(AioWaiters *set, AioDirectSet *direct, AioWatch *watch, unsigned wanted)
{
    int error = 0;
    /* Wanted or not: the number may be another object's by now. */
    if (watch->state == AIO_WATCH_ARMED) {
        bool out = direct && aio__direct_remove(direct, watch);
        if (!out && release(set, entry_of_watch(watch))) {
            watch->ready |= AIO_WATCH_READ | AIO_WATCH_ONCE;
        }
        watch->state = AIO_WATCH_IDLE;
    }
    if (wanted) {
        AioObjectKind kind;
        error = aio__object_identify(watch->handle, &kind);
        if (!error && !(direct && aio__direct_add(direct, watch, kind))) {
            error = add(set, watch, kind);
        }
        watch->state = error ? AIO_WATCH_IDLE : AIO_WATCH_ARMED;
    }
    watch->wanted = error ? 0 : wanted;
    return error;
}

void aio__waiters_arm(AioWaiters *set)
{
    AioNode *next;
    if (aio__list_empty(&set->idle)) {
        return;
    }
    aio__mutex_lock(&set->lock);
    for (AioNode *node = aio__list_first(&set->idle); node; node = next) {
        Entry *entry = entry_of_node(node);
        next = aio__list_next(&set->idle, node);
        if (aio__node_linked(&entry->object.watch->ready_node)) {
            continue; /* found by an iteration further out: another signal would be lost on it */
        }
        aio__node_unlink(node);
        entry->state = ENTRY_ARMED;
        set->armed++;
        ask(entry->waiter);
    }
    aio__mutex_unlock(&set->lock);
    tell(set);
}

int aio__waiters_take(AioWaiters *set, AioList *ready)
{
    int found = 0;
    AioNode *node;
    if (set->armed == 0) {
        return 0;
    }
    aio__mutex_lock(&set->lock);
    bool broken = set->broken > 0;
    while ((node = aio__list_pop(&set->fired))) {
        Entry *entry = entry_of_node(node);
        rest(set, entry);
        if (entry->object.kind == AIO_OBJECT_CONSUMED ||
            WaitForSingleObject(entry->object.handle, 0) == WAIT_OBJECT_0) {
            aio__object_report(&entry->object, ready);
            found++;
        }
    }
    aio__mutex_unlock(&set->lock);
    return broken ? -EBADF : found;
}

int aio__waiters_probe(AioWaiters *set, bool all, AioList *ready)
{
    AioNode *last = aio__list_last(&set->idle);
    AioNode *node = NULL;
    int found = 0;
    while (node != last) {
        const AioObject *batch[MAXIMUM_WAIT_OBJECTS];
        size_t n = 0;
        while (n < MAXIMUM_WAIT_OBJECTS && node != last) {
            node = aio__list_pop(&set->idle); /* and to the end: the next call begins behind it */
            aio__list_push(&set->idle, node);
            batch[n++] = &entry_of_node(node)->object;
        }
        int more = aio__objects_probe(batch, n, ready);
        if (more < 0) {
            return more;
        }
        found += more;
        if (!all) {
            break;
        }
    }
    return found;
}

void aio__waiters_drop_bad(AioWaiters *set, AioList *ready, AioList *lost)
{
    AioNode *next;
    aio__waiters_withdraw(set);
    for (AioNode *node = aio__list_first(&set->idle); node; node = next) {
        Entry *entry = entry_of_node(node);
        AioWatch *watch = entry->object.watch;
        next = aio__list_next(&set->idle, node);
        int error = aio__object_blame(&entry->object, ready);
        if (error) {
            release(set, entry);
            watch->error = error;
            aio__node_unlink(&watch->own_node);
            aio__list_push(lost, &watch->own_node);
        }
    }
}
