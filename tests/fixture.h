/*
 * What every test file builds on. Tests of the core include this and aioctx/aioctx.h, and no system
 * header, so that the same sources run on every poller and every system.
 *
 * A test file ends in
 *     static const struct CMUnitTest tests[] = {
 *         cmocka_unit_test(bh_runs_once),
 *     };
 *     TEST_MAIN(tests)
 * and is registered in tests/tests.cmake with aioctx_add_tests(), which makes one ctest entry of each
 * cmocka_unit_test line (and, for tests of the loop, of each poller).
 *
 * CMocka's assertions leave by longjmp: use them only on the test's own thread and stack. In coroutines,
 * workers and foreign contexts record into a struct, and assert after the loop returned.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_TESTS_FIXTURE_H
#define AIOCTX_TESTS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aioctx/aioctx.h"

/* The poller that this run is for, or NULL for tests that need none. */
const char *fixture_poller(void);

/* A context on that poller; fails the test where it can't be made. */
AioContext *fixture_context(void);

/* The same, and the calling thread is its home already, so that changes take effect at once. */
AioContext *fixture_home(void);

/* The same with flags (AioContextFlags). */
AioContext *fixture_context_flags(unsigned flags);

/* Run it until nothing is left to do, then drop the reference. */
void fixture_context_free(AioContext *ctx);

/*
 * A test with a context of its own, for which the test's thread is home: static void name(AioContext *ctx),
 * registered as cmocka_unit_test_home(name). The context is made before it, and run until nothing is left to
 * do and freed after it.
 */
typedef struct FixtureHomeTest {
    void (*run)(AioContext *ctx);
} FixtureHomeTest;

void fixture_run_home(void **state);
#define cmocka_unit_test_home(test)                                                                \
    {                                                                                              \
#test, fixture_run_home, NULL, NULL, &(FixtureHomeTest)                                    \
        {                                                                                          \
            test                                                                                   \
        }                                                                                          \
    }

/* One iteration, however this run drives a loop. Every test of the loop uses this. */
bool drive(AioContext *ctx, bool blocking);

/* Skip the test, saying why; reported as skipped (exit status 77). Does not return. */
void fixture_skip(const char *reason);

/* `count`, or a part of it where system calls take long (Wine), and every test would. */
int fixture_turns(int count);

/* A factor for the counts of hammers: 1 in CI, 30 for the long form (AIOCTX_TEST_LONG=1). */
unsigned fixture_long(void);

/* A connected pair of stream handles, both non-blocking: what is written to one is readable at the other. */
typedef struct FixturePair {
    AioHandle a;
    AioHandle b;
} FixturePair;

FixturePair fixture_pair(void);
void fixture_pair_close(FixturePair *pair);
void fixture_close(AioHandle handle);
AioHandleKind fixture_pair_kind(void);
/* Bytes moved, 0 at the end of the stream, -1 where it would block or failed. */
int fixture_read(AioHandle handle, void *buffer, size_t size);
int fixture_write(AioHandle handle, const void *buffer, size_t size);
/* Fill the handle until it would block; returns the number of bytes. */
size_t fixture_fill(AioHandle handle);
/* No more data from this side: the peer sees the end. */
void fixture_shutdown_write(AioHandle handle);
/* Wait as a foreign loop does until one of `count` handles is readable, -1 ms: for ever. Returns whether. */
bool fixture_wait_readable(const AioHandle *handles, size_t count, int timeout_ms);
/* Whether it never blocks, and no program that is started inherits it. */
bool fixture_handle_is_private(AioHandle handle);

/* Threads. */
typedef struct FixtureThread FixtureThread;
FixtureThread *fixture_thread_start(void (*run)(void *), void *arg);
void fixture_thread_join(FixtureThread *thread);
void fixture_sleep_ms(unsigned ms);
void fixture_yield(void);

/* Pin the calling thread (and those it starts later) to one core or, with -1, to all. False: can't. */
bool fixture_pin(int core);

/* On how many cores the calling thread may run. */
int fixture_cores(void);

/* Limit the descriptors (handles) of this process; 0: as before. False: can't. */
bool fixture_limit_handles(unsigned count);

/* Descriptors (handles) open in this process. */
unsigned fixture_open_handles(void);

/*
 * Whether so many of them are open now, and say how many where not. On Windows fewer are right, too: the system's own threads, which
 * it keeps for some seconds, have handles in the process.
 */
bool fixture_handles_left(unsigned count);

/* Memory in use by this process that came from malloc(3), or 0 where nobody can say. */
size_t fixture_memory_in_use(void);

/* Set an environment variable, or with NULL take it away. */
void fixture_setenv(const char *name, const char *value);

/*
 * Run `test` of this program in another process with borrowed rights (set-user-id), where
 * fixture_has_borrowed_rights() is true. Returns whether it passed; skips where that can't be had.
 */
bool fixture_passes_with_borrowed_rights(const char *test);
bool fixture_has_borrowed_rights(void);
/* Pieces of memory mapped in this process; 0 where the system does not tell. */
unsigned fixture_maps(void);

/* Monotonic time. */
int64_t fixture_now_ns(void);

/* CPU time of this process. */
int64_t fixture_cpu_ns(void);

/*
 * Have `handler` called in a signal handler of the calling thread every interval_us until stopped. Returns
 * false where the system has no such signals.
 */
bool fixture_signal_start(void (*handler)(void *), void *arg, unsigned interval_us);
void fixture_signal_stop(void);

/*
 * Run `body` in a child process and expect it to end by a fatal error whose text contains `text`. Returns
 * whether it did; skips where there is no fork.
 */
bool fixture_dies(void (*body)(void *), void *arg, const char *text);

/* The same, where the process is expected to end by abort(3), whatever is said. */
bool fixture_aborts(void (*body)(void *), void *arg);

/* Entry of a test program: [--poller NAME] [TEST]. */
int fixture_main(int argc, char **argv, const char *group, const struct CMUnitTest *tests,
                 size_t count);

#define TEST_MAIN(tests)                                                                           \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        return fixture_main(argc, argv, __FILE__, tests, sizeof(tests) / sizeof((tests)[0]));      \
    }

#endif
