/*
 * The overlapped calls of one file, replaced when the test is linked (tests.cmake): each is answered as the test
 * planned, and what is held ends when, and as, the test says. Wine never shows any of that: it does files' I/O inside of
 * the call, and says that it is pending.
 *
 * Those of other files, and those that wait for an event (the workers'), are the system's.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_TESTS_FILE_DELAY_H
#define AIOCTX_TESTS_FILE_DELAY_H

#include "tests/file_help.h"
#include "win32/poller_port.h"

#define DELAY_EOF ((LONG)0xC0000011)
#define DELAY_MORE_DATA ((LONG)0x80000005)
#define DELAY_DEVICE_ERROR ((LONG)0xC0000185)
#define DELAY_CANCELLED ((LONG)0xC0000120)

typedef enum DelayWay {
    DELAY_PASS, /* to the system */
    DELAY_HOLD,
    DELAY_TRUE, /* done at once; a packet comes */
    DELAY_WARN, /* the same, and it says ERROR_MORE_DATA */
    DELAY_FAIL, /* at once, by `error`; none does */
} DelayWay;

typedef enum DelayCancel {
    DELAY_CANCEL,           /* the call ends by it */
    DELAY_CANCEL_NOT_FOUND, /* the system says that there is nothing */
    DELAY_CANCEL_LATE,      /* it says yes, and the call goes on */
} DelayCancel;

/* A call that is held, until it has ended. */
typedef struct DelayCall {
    OVERLAPPED *overlapped;
    void *buffer;
    const FILE_SEGMENT_ELEMENT *pages; /* instead */
    DWORD size;
    bool write;
    bool ended;
} DelayCall;

#define DELAY_CALLS 64

typedef struct Delay {
    FixtureFile *name;
    HANDLE file;
    HANDLE port;
    DelayWay way;
    DelayCancel on_cancel;
    DWORD error;
    DWORD at_most;  /* bytes of one call, 0: all */
    unsigned calls; /* of the engine */
    unsigned lists; /* those of them with a list of pages */
    unsigned cancels;
    atomic_uint pooled;  /* those of workers */
    unsigned held_count; /* ended ones included */
    DelayCall held[DELAY_CALLS];
} Delay;

/* From now on, until delay_over(). `delay` has the plan; the counters start at 0. */
void delay_start(Delay *delay, AioContext *ctx, AioFile *file, FixtureFile *name, DelayWay way);
void delay_over(void);

/* End a held call as the system does: with all that there is to move, or with that status and nothing. */
void delay_end(Delay *delay, unsigned call);
void delay_end_with(Delay *delay, unsigned call, LONG status);

#endif
