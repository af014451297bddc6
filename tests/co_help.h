/*
 * What the tests of coroutines share: loops in threads of their own, a log, and waiting with a bound.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_TESTS_CO_HELP_H
#define AIOCTX_TESTS_CO_HELP_H

#include "tests/fixture.h"

/* What the tests are checked with, where that limits what they can do. */
#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif

/* A coroutine; fails the test where it is refused. */
AioCoroutine *co_make(AioCoroutineFunc *entry, void *opaque);

/* Make one and enter it. */
void co_start(AioContext *ctx, AioCoroutineFunc *entry, void *opaque);

/* Counts in the int that it is given, and yields: 1, 2, 3, and 4 at its end. */
void co_count_to_three(void *opaque);

/* Ends at once. */
void co_nothing(void *opaque);

/* What happened, a letter each. Written by one thread at a time. */
typedef struct CoLog {
    char text[64];
} CoLog;

void co_note(CoLog *log, char letter);

enum { CO_LOOPS_MAX = 8 };

/* Contexts, each with a thread that runs it. */
typedef struct CoLoops {
    int count;
    AioThread *threads[CO_LOOPS_MAX];
    AioContext *ctx[CO_LOOPS_MAX];
} CoLoops;

void co_loops_start(CoLoops *loops, int count);
void co_loops_join(CoLoops *loops);

/* Wait until the value is at least `wanted`; false where that takes more than half a minute. */
bool co_await (atomic_int *value, int wanted);

/* Run the loop until the value is at least `wanted`. */
void co_drive_until(AioContext *ctx, atomic_int *value, int wanted);

/* A small generator of numbers that look random; `seed` is its state. */
unsigned co_random(unsigned *seed);

/* Rounds for a hammer: `count`, or thirty times as many in the long form. */
int co_rounds(int count);

/* A second from now, or half a minute in the long form: when a hammer ends at the latest. */
int64_t co_end(void);

#endif
