/*
 * A handler to test with: on one end of a connected pair, counting its callbacks, with hooks for what a test wants
 * done inside of them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_TESTS_PROBE_H
#define AIOCTX_TESTS_PROBE_H

#include "tests/fixture.h"

/* Which callbacks a probe registers. */
enum {
    PROBE_READ = 1 << 0,
    PROBE_WRITE = 1 << 1,
    PROBE_POLL = 1 << 2,     /* answers `found` */
    PROBE_READY = 1 << 3,    /* with PROBE_POLL */
    PROBE_BRACKETS = 1 << 4, /* poll_begin and poll_end */
    PROBE_ERROR = 1 << 5,
};

typedef struct Probe Probe;
typedef void ProbeHook(Probe *probe);

struct Probe {
    AioContext *ctx;
    FixturePair pair; /* the handler is on `a`; `b` is the far end */
    int reads;
    int writes;
    int polls;
    int readies;
    int begins;
    int ends;
    int errors;
    int error;  /* the last one told */
    int calls;  /* of read and write */
    int first;  /* 'r' or 'w': which of them came first */
    bool keep;  /* the read callback leaves what there is to read */
    bool found; /* what the poll callback answers */
    ProbeHook *on_read;
    ProbeHook *on_write;
    ProbeHook *on_poll;
    ProbeHook *on_ready;
    ProbeHook *on_error;
    void *arg; /* the hooks' own */
};

/* Open the pair; nothing is registered yet. */
void probe_open(Probe *probe, AioContext *ctx);

/* Register, or replace, the handler with these callbacks (PROBE_*) and AioHandlerFlags. */
void probe_set(Probe *probe, unsigned callbacks, unsigned flags);

/* The same in one go: a reader. */
void probe_open_reader(Probe *probe, AioContext *ctx);

/* Write one byte at the far end, so that the handler's end is readable. */
void probe_ping(Probe *probe);

void probe_remove(Probe *probe);

/* Remove the handler and close the pair. */
void probe_close(Probe *probe);

/*
 * Sleep in one blocking call until another thread notifies after `ms`, expecting that nothing else ends it. Returns
 * how often the loop asked the kernel meanwhile: few times, or it spins.
 */
uint64_t probe_sleep(AioContext *ctx, unsigned ms);

/* The counters of a context now. */
AioContextCounters probe_counters(AioContext *ctx);

/* Registered handlers now. */
uint64_t probe_handlers(AioContext *ctx);

/* Expect that `code` is the oldest recorded error, with `text` in it; takes it. */
void probe_expect_error(AioContext *ctx, int code, const char *text);

#endif
