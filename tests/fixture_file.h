/*
 * Files for tests: fresh ones, what is really in them, and the system's ways to refuse.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_TESTS_FIXTURE_FILE_H
#define AIOCTX_TESTS_FIXTURE_FILE_H

#include "tests/fixture.h"

typedef struct FixtureFile {
    char path[512];
} FixtureFile;

/* A fresh file of `size` bytes, all zero and a hole; removed by the other one. */
FixtureFile fixture_file(int64_t size);
void fixture_file_remove(FixtureFile *file);

/* What is in a file, as another program sees it: up to `size` bytes from `offset`; how many there are. */
int64_t fixture_file_load(const FixtureFile *file, void *buffer, size_t size, int64_t offset);
void fixture_file_store(const FixtureFile *file, const void *data, size_t size, int64_t offset);
int64_t fixture_file_size(const FixtureFile *file);

/* Bytes of storage that it takes, or -1 where the system does not say. */
int64_t fixture_file_allocated(const FixtureFile *file);

/* A plain handle to a file, for aio_file_from_handle(). */
AioHandle fixture_file_handle(const FixtureFile *file, bool writable);

/* Whether a handle is open in this process. */
bool fixture_is_open(AioHandle handle);

/* No file of this process may become longer than that (-1: as before). False: can't. */
bool fixture_limit_file_size(int64_t size);

/* A directory; and devices, each NULL where there is none: one that takes no more data, one that takes all and
 * keeps nothing, one with blocks that may be read. */
const char *fixture_directory(void);
const char *fixture_full_device(void);
const char *fixture_null_device(void);
const char *fixture_block_device(void);

#endif
