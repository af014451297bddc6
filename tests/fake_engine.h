/*
 * A file engine for tests that does everything an engine may do: it delays, reorders, transfers less than asked
 * for, fails, asks to try again, takes only some requests at once, and answers cancels in both ways.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_TESTS_FAKE_ENGINE_H
#define AIOCTX_TESTS_FAKE_ENGINE_H

#include "core/file_engine.h"

typedef struct FakePlan {
    unsigned seed;
    unsigned rounds;   /* an op waits up to so many iterations before anything happens */
    unsigned at_once;  /* how many ops it looks at in an iteration; 0: all */
    unsigned short_of; /* one attempt in so many is cut short; 0: none */
    unsigned again_of; /* one attempt in so many asks to try again; 0: none */
    bool reorder;
    bool gather;        /* nothing is attempted before a flush */
    bool honour_cancel; /* -ECANCELED, unless it is done already */
    int fail_submit;    /* a negative errno value for every submit */
    int fail;           /* a negative errno value as the result of every attempt */
    /* What it saw. */
    unsigned submits;
    unsigned cancels;
    unsigned flushes;
    unsigned attempts;
    unsigned most; /* ops that it had at once */
} FakePlan;

/* The plan of engines opened from now on, borrowed until they are closed. */
void fake_engine_plan(FakePlan *plan);

extern const AioFileEngineOps fake_engine;

#endif
