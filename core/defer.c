/*
 * Calls put off to the end of a section of one thread, so that what many callbacks ask for is done once:
 * submitting a batch, ringing a bell. Each thread has its own sections; nothing is shared.
 *
 * Invariant: outside of a section nothing is collected. The end takes what was collected out of the
 * thread before it calls anything, so that the calls may open sections of their own.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>
#include <string.h>

#include "aioctx/wait.h"
#include "core/alloc.h"
#include "core/compiler.h"
#include "core/defer.h"

/* So many different calls need no memory. */
#define OWN_CALLS 16

typedef struct Call {
    AioCallback *cb;
    void *opaque; /* borrowed: until it is called or taken back */
} Call;

typedef struct Section {
    unsigned depth;
    size_t count;
    size_t capacity; /* of `more` */
    Call own[OWN_CALLS];
    Call *more; /* owned: used in place of `own` where that is full */
} Section;

static _Thread_local Section section;

static Call *calls_of(Section *s)
{
    return s->more ? s->more : s->own;
}

/* Where the call is in the list; `count` where it is not. */
static size_t find(Section *s, Call call)
{
    const Call *calls = calls_of(s);
    for (size_t i = s->count; i > 0; i--) { /* what was asked for last is asked for again */
        if (calls[i - 1].cb == call.cb && calls[i - 1].opaque == call.opaque) {
            return i - 1;
        }
    }
    return s->count;
}

static bool has_room(Section *s)
{
    size_t capacity = s->more ? s->capacity : OWN_CALLS;
    if (s->count < capacity) {
        return true;
    }
    Call *more = aio__realloc(s->more, 2 * capacity * sizeof(*more));
    if (!more) {
        return false;
    }
    if (!s->more) {
        memcpy(more, s->own, sizeof(s->own));
    }
    s->more = more;
    s->capacity = 2 * capacity;
    return true;
}

AIO__NOT_INLINED void aio_defer_begin(void)
{
    section.depth++;
}

AIO__NOT_INLINED void aio_defer_call(AioCallback *cb, void *opaque)
{
    Section *s = &section;
    Call call = {.cb = cb, .opaque = opaque};
    if (s->depth > 0) {
        if (find(s, call) < s->count) {
            return;
        }
        if (has_room(s)) {
            calls_of(s)[s->count++] = call;
            return;
        }
    }
    cb(opaque);
}

AIO__NOT_INLINED bool aio__defer_take_back(AioCallback *cb, void *opaque)
{
    Section *s = &section;
    Call *calls = calls_of(s);
    size_t place = find(s, (Call){.cb = cb, .opaque = opaque});
    if (place == s->count) {
        return false;
    }
    s->count--;
    memmove(calls + place, calls + place + 1, (s->count - place) * sizeof(*calls));
    return true;
}

AIO__NOT_INLINED void aio_defer_end(void)
{
    Call own[OWN_CALLS];
    assert(section.depth > 0);
    if (--section.depth > 0) {
        return;
    }
    size_t count = section.count;
    Call *more = section.more;
    if (!more) {
        memcpy(own, section.own, count * sizeof(own[0]));
    }
    section.count = 0;
    section.more = NULL;
    const Call *calls = more ? more : own;
    for (size_t i = 0; i < count; i++) {
        calls[i].cb(calls[i].opaque);
    }
    aio__free(more);
}
