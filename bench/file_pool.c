/*
 * What a read costs over the thread-pool engine: 4 KiB from a hot page cache (done at home) and past the cache
 * (done by workers), and the pool alone with jobs that do nothing; at 1 and 32 in flight, beside plain pread(2).
 * CPU time is that of the whole process. For system calls an operation: strace -f -c on one row.
 *
 * usage: file_pool [ROW [SECONDS [DEPTH]]]     ROW: pread, cached, direct, pool; all without
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "aioctx/aioctx.h"

enum { BLOCK = 4096, BLOCKS = 4096, MAX_DEPTH = 32 };

typedef struct Row {
    const char *name;
    AioContext *ctx;
    AioFile *file; /* NULL: jobs that do nothing */
    int64_t until_ns;
    unsigned random;
    unsigned in_flight;
    uint64_t done;
} Row;

typedef struct Slot {
    Row *row;
    void *buffer;
} Slot;

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t draw_offset(Row *row)
{
    row->random = row->random * 1664525u + 1013904223u;
    return (int64_t)((row->random >> 8) % BLOCKS) * BLOCK;
}

static int nothing(void *opaque)
{
    (void)opaque;
    return BLOCK;
}

static void submit(Slot *slot);

static void on_done(void *opaque, int64_t ret)
{
    Slot *slot = opaque;
    Row *row = slot->row;
    if (ret != BLOCK) {
        fprintf(stderr, "file_pool: %s: result %lld\n", row->name, (long long)ret);
        exit(1);
    }
    row->in_flight--;
    /* The clock costs 22 ns: ask it for every 16th. */
    if (++row->done % 16 || clock_ns(CLOCK_MONOTONIC) < row->until_ns) {
        submit(slot);
    } else {
        row->until_ns = 0;
    }
}

static void submit(Slot *slot)
{
    Row *row = slot->row;
    AioIoVec piece = {.base = slot->buffer, .len = BLOCK};
    AioRequest *request;
    if (row->until_ns == 0) {
        return;
    }
    if (row->file) {
        request = aio_file_preadv(row->file, &piece, 1, draw_offset(row), on_done, slot, NULL);
    } else {
        request = aio_thread_pool_submit(aio_get_thread_pool(row->ctx), nothing, NULL, on_done,
                                         slot, NULL);
    }
    if (!request) {
        fprintf(stderr, "file_pool: %s: can't submit\n", row->name);
        exit(1);
    }
    row->in_flight++;
}

static void report(const char *name, unsigned depth, uint64_t ops, int64_t wall, int64_t cpu)
{
    printf("%-8s QD%-3u %9.0f ops/s %8.0f ns wall %8.0f ns CPU\n", name, depth,
           (double)ops * 1e9 / (double)wall, (double)wall / (double)ops, (double)cpu / (double)ops);
}

static void run(Row *row, unsigned depth, double seconds)
{
    Slot slots[MAX_DEPTH];
    int64_t wall = clock_ns(CLOCK_MONOTONIC), cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    row->until_ns = wall + (int64_t)(seconds * 1e9);
    row->done = 0;
    for (unsigned i = 0; i < depth; i++) {
        slots[i] = (Slot){.row = row, .buffer = aligned_alloc(BLOCK, BLOCK)};
        submit(&slots[i]);
    }
    while (row->in_flight > 0) {
        aio_poll(row->ctx, true);
    }
    wall = clock_ns(CLOCK_MONOTONIC) - wall;
    cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    report(row->name, depth, row->done, wall, cpu);
    for (unsigned i = 0; i < depth; i++) {
        free(slots[i].buffer);
    }
}

static void run_pread(const char *path, double seconds)
{
    Row row = {.random = 1};
    char buffer[BLOCK];
    int fd = open(path, O_RDONLY);
    int64_t wall = clock_ns(CLOCK_MONOTONIC), cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    row.until_ns = wall + (int64_t)(seconds * 1e9);
    while (++row.done % 16 || clock_ns(CLOCK_MONOTONIC) < row.until_ns) {
        if (pread(fd, buffer, BLOCK, draw_offset(&row)) != BLOCK) {
            exit(1);
        }
    }
    wall = clock_ns(CLOCK_MONOTONIC) - wall;
    cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    report("pread", 1, row.done, wall, cpu);
    close(fd);
}

static void make_file(char *path)
{
    static char data[BLOCK];
    int fd = mkstemp(path);
    for (int i = 0; fd >= 0 && i < BLOCKS; i++) {
        memset(data, i, sizeof(data));
        if (write(fd, data, sizeof(data)) != BLOCK) {
            exit(1);
        }
    }
    if (fd < 0 || fsync(fd) < 0) {
        perror(path);
        exit(1);
    }
    close(fd);
}

static void run_rows(const char *name, const char *path, unsigned flags, double seconds,
                     unsigned depth)
{
    AioError *error = NULL;
    Row row = {.name = name, .random = 1, .ctx = aio_context_new(&error)};
    if (path) {
        row.file = aio_file_open(row.ctx, path, flags, &error);
    }
    if (error) {
        printf("%-8s left out: %s\n", name, aio_error_message(error));
        aio_error_free(error);
    } else {
        run(&row, depth ? depth : 1, seconds);
        if (!depth) {
            run(&row, MAX_DEPTH, seconds);
        }
    }
    aio_file_close(row.file);
    aio_context_unref(row.ctx);
}

int main(int argc, char **argv)
{
    const char *only = argc > 1 ? argv[1] : "";
    double seconds = argc > 2 ? atof(argv[2]) : 0.5;
    unsigned depth = argc > 3 ? (unsigned)atoi(argv[3]) : 0;
    char path[] = "aioctx-bench-XXXXXX";
    if (depth > MAX_DEPTH) {
        fprintf(stderr, "file_pool: at most %d in flight\n", MAX_DEPTH);
        return 2;
    }
    make_file(path);
    if (!*only || strcmp(only, "pread") == 0) {
        run_pread(path, seconds);
    }
    if (!*only || strcmp(only, "cached") == 0) {
        run_rows("cached", path, AIO_FILE_READ, seconds, depth);
    }
    if (!*only || strcmp(only, "direct") == 0) {
        run_rows("direct", path, AIO_FILE_READ | AIO_FILE_DIRECT, seconds, depth);
    }
    if (!*only || strcmp(only, "pool") == 0) {
        run_rows("pool", NULL, 0, seconds, depth);
    }
    unlink(path);
    return 0;
}
