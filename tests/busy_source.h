/*
 * What the tests of busy-polling share: a window that stays, and a source that is looked at and logs what is
 * called: b(egin), p(oll; repeated looks are one), ! (poll_ready), e(nd), r(ead).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_TESTS_BUSY_SOURCE_H
#define AIOCTX_TESTS_BUSY_SOURCE_H

#include "tests/fixture.h"

#include "core/context.h"

#define SECOND INT64_C(1000000000)

AioContextCounters counters_of(AioContext *ctx);
int64_t window_of(AioContext *ctx);

/* A window that stays as it is, however long iterations take. */
void fix_window(AioContext *ctx, int64_t window_ns);

/* A callback that counts its calls in an int. */
void count(void *opaque);

typedef struct Source {
    AioContext *ctx;
    FixturePair pair;
    char log[64];
    int looks;
    int find_at; /* from this look on there is work; 0: never */
    int find;    /* so many times; -1: always */
    int ready_calls;
    int read_calls;
    int depth, deepest;
    bool external;
    bool nest;                              /* poll from the callback */
    bool nest_in_end;                       /* the same in poll_end, once */
    AioBh *schedule;                        /* at the first look */
    void (*at_look)(struct Source *source); /* at each */
    void (*at_end)(struct Source *source);  /* once */
    void *opaque;
} Source;

extern const AioHandlerOps source_ops;

/* Log something. */
void note(Source *source, char what);

/* Register its handler with these callbacks, and remove it. */
void watch(Source *source, const AioHandlerOps *ops);
void unwatch(Source *source);

/* A source of `ctx`, which the calling thread binds, registered with source_ops. */
void source_init(Source *source, AioContext *ctx);
void source_done(Source *source);

/* The callbacks of source_ops, for others. */
void source_read(void *opaque);
bool source_poll(void *opaque);

#endif
