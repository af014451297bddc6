/*
 * The system calls under files and threads, replaced when the test is linked (tests.cmake), so that chosen ones of
 * them fail, or do less than was asked for. What a test calls by itself is replaced, too: it arms nothing meanwhile.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_TESTS_FILE_FAULT_H
#define AIOCTX_TESTS_FILE_FAULT_H

#include "tests/fault_plan.h"

typedef enum FileFault {
    FILE_FAULT_OPEN,
    FILE_FAULT_READ,          /* preadv */
    FILE_FAULT_READ_NOWAIT,   /* preadv2 */
    FILE_FAULT_WRITE,         /* pwritev */
    FILE_FAULT_WRITE_DURABLE, /* pwritev2 */
    FILE_FAULT_FSYNC,
    FILE_FAULT_FDATASYNC,
    FILE_FAULT_ALLOCATE, /* fallocate */
    FILE_FAULT_TRUNCATE,
    FILE_FAULT_SEEK,
    FILE_FAULT_CONTROL, /* fcntl */
    FILE_FAULT_THREAD,  /* pthread_create */
    FILE_FAULTS,
} FileFault;

#endif
