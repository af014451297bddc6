/*
 * Measures structures that could keep a loop's timers: the same work on each, with N timers pending whose
 * deadlines lie 1 to 2 hours ahead. The runs are interleaved (every structure once, then all again) and
 * the medians printed, so that a slow moment of the machine hits all alike.
 *
 *     timer_structures [--runs R] [--max N] [NAME...]
 *
 * arm and cancel: a batch of 64 on top of the N; move: a random one of the N to a new random deadline;
 * expire: all N are due; idle: a run that finds nothing due. Nanoseconds each, without locks and clocks.
 * bytes: what a timer costs in the structure, its links or its entry, without the caller's callback.
 *
 * SPDX-License-Identifier: MIT
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "structures/structure.h"

#define HOUR_NS INT64_C(3600000000000)
#define BATCH 64
#define CHUNKS 3000
#define MAX_RUNS 101
#define SIZES 4
#define NAMES 16

enum { ARM, MOVE, CANCEL, EXPIRE, IDLE, WORKS };

static const char *const work_names[WORKS] = {"arm", "move", "cancel", "expire", "idle"};
static const size_t sizes[SIZES] = {10, 1000, 100000, 1000000};
static const Structure *const structures[] = {
    &structure_heap2,      &structure_heap4,   &structure_heap4_line, &structure_heap4_entry,
    &structure_heap8_keys, &structure_pairing, &structure_wheel,      &structure_library,
};
#define STRUCTURES (sizeof(structures) / sizeof(structures[0]))

static double results[STRUCTURES][SIZES][WORKS][MAX_RUNS];
static double bytes[STRUCTURES];
static volatile size_t sink;

static double now_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static uint64_t seed = 88172645463325252u;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static int64_t random_deadline(void)
{
    return HOUR_NS + (int64_t)(next_random() % (uint64_t)HOUR_NS);
}

static void check_order(const Structure *s)
{
    enum { COUNT = 2000 };
    Item *items = calloc(COUNT, sizeof(*items));
    void *self = s->create(COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        s->arm(self, &items[i], HOUR_NS + (int64_t)(next_random() % 64) * 1000000000);
    }
    for (size_t i = 0; i < COUNT; i += 3) {
        s->move(self, &items[i], HOUR_NS + (int64_t)(next_random() % 64) * 1000000000);
    }
    for (size_t i = 1; i < COUNT; i += 3) {
        s->cancel(self, &items[i]);
    }
    size_t ran = 0;
    for (int64_t second = 0; second <= 64; second++) {
        ran += s->expire(self, HOUR_NS + second * 1000000000 + 1000000);
    }
    bool right = ran == COUNT - (COUNT + 1) / 3;
    for (size_t i = 0; i < COUNT; i++) {
        right = right && items[i].hits == (i % 3 == 1 ? 0 : 1);
    }
    if (!right) {
        fprintf(stderr, "%s does not expire what it should (%zu)\n", s->name, ran);
        exit(1);
    }
    s->destroy(self);
    free(items);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare);
    return values[count / 2];
}

/* Batches so short that few are interrupted by other programs, and the median of many. */

static void measure_arm_and_cancel(const Structure *s, void *self, Item *items,
                                   const int64_t *deadlines, double *out)
{
    static double arm[CHUNKS], cancel[CHUNKS];
    for (int chunk = 0; chunk < CHUNKS; chunk++) {
        double begin = now_ns(CLOCK_MONOTONIC);
        for (size_t i = 0; i < BATCH; i++) {
            s->arm(self, &items[i], deadlines[i]);
        }
        double middle = now_ns(CLOCK_MONOTONIC);
        for (size_t i = 0; i < BATCH; i++) {
            s->cancel(self, &items[i]);
        }
        cancel[chunk] = now_ns(CLOCK_MONOTONIC) - middle;
        arm[chunk] = middle - begin;
    }
    out[ARM] = median(arm, CHUNKS) / BATCH;
    out[CANCEL] = median(cancel, CHUNKS) / BATCH;
}

static void measure_move_and_idle(const Structure *s, void *self, Item *items, size_t n,
                                  double *out)
{
    static double move[CHUNKS], idle[CHUNKS];
    for (int chunk = 0; chunk < CHUNKS; chunk++) {
        double begin = now_ns(CLOCK_MONOTONIC);
        for (size_t i = 0; i < BATCH; i++) {
            uint64_t r = next_random();
            s->move(self, &items[r % n], HOUR_NS + (int64_t)((r >> 20) % (uint64_t)HOUR_NS));
        }
        double middle = now_ns(CLOCK_MONOTONIC);
        for (size_t i = 0; i < BATCH; i++) {
            sink += s->idle(self);
        }
        idle[chunk] = now_ns(CLOCK_MONOTONIC) - middle;
        move[chunk] = middle - begin;
    }
    out[MOVE] = median(move, CHUNKS) / BATCH;
    out[IDLE] = median(idle, CHUNKS) / BATCH;
}

static void measure(const Structure *s, size_t n, double *out)
{
    Item *items = calloc(n + BATCH, sizeof(*items));
    void *self = s->create(n + BATCH);
    int64_t *deadlines = malloc((n + BATCH) * sizeof(*deadlines));
    for (size_t i = 0; i < n + BATCH; i++) {
        deadlines[i] = random_deadline();
    }
    for (size_t i = 0; i < n; i++) {
        s->arm(self, &items[i], deadlines[i]);
    }
    measure_arm_and_cancel(s, self, &items[n], &deadlines[n], out);
    measure_move_and_idle(s, self, items, n, out);

    /* All due, at once: too long not to be interrupted, so in CPU time. */
    double expire = 0;
    size_t total = 0;
    for (;;) {
        double begin = now_ns(CLOCK_THREAD_CPUTIME_ID);
        total += s->expire(self, 3 * HOUR_NS);
        expire += now_ns(CLOCK_THREAD_CPUTIME_ID) - begin;
        s->destroy(self);
        if (total >= 20000) {
            break;
        }
        self = s->create(n + BATCH);
        memset(items, 0, (n + BATCH) * sizeof(*items));
        for (size_t i = 0; i < n; i++) {
            s->arm(self, &items[i], deadlines[i]);
        }
    }
    out[EXPIRE] = expire / (double)total;
    free(items);
    free(deadlines);
}

static void print(size_t count, const bool *chosen, int runs)
{
    for (int work = 0; work < WORKS; work++) {
        printf("| %s |", work_names[work]);
        for (size_t size = 0; size < count; size++) {
            printf(" %zu |", sizes[size]);
        }
        printf("\n|---|");
        for (size_t size = 0; size < count; size++) {
            printf("---|");
        }
        printf("\n");
        for (size_t i = 0; i < STRUCTURES; i++) {
            if (!chosen[i]) {
                continue;
            }
            printf("| %s%s |", structures[i]->name, structures[i]->exact ? "" : " (inexact)");
            for (size_t size = 0; size < count; size++) {
                printf(" %.1f |", median(results[i][size][work], (size_t)runs));
            }
            printf("\n");
        }
        printf("\n");
    }
    printf("| bytes |\n|---|\n");
    for (size_t i = 0; i < STRUCTURES; i++) {
        if (chosen[i]) {
            printf("| %s | %.1f |\n", structures[i]->name, bytes[i]);
        }
    }
}

int main(int argc, char **argv)
{
    int runs = 5;
    size_t max = 1000000, count = 0;
    bool chosen[STRUCTURES] = {false}, any = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--runs") == 0 && i + 1 < argc) {
            runs = atoi(argv[++i]);
        } else if (strcmp(argv[i], "--max") == 0 && i + 1 < argc) {
            max = (size_t)atol(argv[++i]);
        }
        for (size_t j = 0; j < STRUCTURES; j++) {
            if (strcmp(argv[i], structures[j]->name) == 0) {
                chosen[j] = any = true;
            }
        }
    }
    runs = runs < 1 ? 1 : runs > MAX_RUNS ? MAX_RUNS : runs;
    for (size_t j = 0; j < STRUCTURES; j++) {
        chosen[j] = chosen[j] || !any;
        check_order(structures[j]);
        void *self = structures[j]->create(sizes[SIZES - 1]);
        bytes[j] = (double)structures[j]->item_bytes +
                   (double)structures[j]->shared_bytes(self, sizes[SIZES - 1]) / 1e6;
        structures[j]->destroy(self);
    }
    while (count < SIZES && sizes[count] <= max) {
        count++;
    }
    for (int run = 0; run < runs; run++) {
        for (size_t size = 0; size < count; size++) {
            for (size_t i = 0; i < STRUCTURES; i++) {
                double out[WORKS];
                if (!chosen[i]) {
                    continue;
                }
                measure(structures[i], sizes[size], out);
                for (int work = 0; work < WORKS; work++) {
                    results[i][size][work][run] = out[work];
                }
            }
        }
    }
    print(count, chosen, runs);
    return 0;
}
