/*
 * What coroutines cost, beside the switch of registers that nothing can do without.
 *
 * All rows take turns, round by round, so that a machine that becomes slower does so for all of them. Printed are the
 * medians, and the ratio of each to its floors: "bare" is the backend's switch in a tight loop, whose jumps the
 * processor foresees; "floor" the same switch below ordinary functions that return, which is what a library
 * can at best be (bench/coroutines/floor.h).
 *
 * usage: bench_coroutine [ROUNDS]
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>

#include "aioctx/aioctx.h"
#include "bench/coroutines/floor.h"

enum { COUNT = 100000, ROUNDS = 31, ROUNDS_MAX = 1001 };

static AioContext *ctx;
static AioCoroutine *yielder;
static Flow *flow;
static bool over;

static void yield_for_ever(void *opaque)
{
    (void)opaque;
    while (!over) {
        aio_co_yield();
    }
}

static void end_at_once(void *opaque)
{
    (void)opaque;
}

static void *flow_for_ever(void *value)
{
    while (!over) {
        value = flow_yield(value);
    }
    return value;
}

static void *flow_end(void *value)
{
    return value;
}

static void floor_pairs(int count)
{
    for (int i = 0; i < count; i++) {
        flow_enter(flow, NULL);
    }
}

static void resume_and_yield(int count)
{
    for (int i = 0; i < count; i++) {
        aio_co_resume(yielder);
    }
}

static void enter_and_yield(int count)
{
    for (int i = 0; i < count; i++) {
        aio_co_enter(ctx, yielder);
    }
}

static void floor_lives(int count)
{
    for (int i = 0; i < count; i++) {
        flow_enter(flow_create(flow_end), NULL);
    }
}

static void create_resume_and_end(int count)
{
    for (int i = 0; i < count; i++) {
        aio_co_resume(aio_co_create(end_at_once, NULL));
    }
}

static void create_enter_and_end(int count)
{
    for (int i = 0; i < count; i++) {
        aio_co_enter(ctx, aio_co_create(end_at_once, NULL));
    }
}

typedef struct Row {
    const char *name;
    void (*run)(int count);
    int bare;
    int floor;
    double ns[ROUNDS_MAX];
} Row;

static Row rows[] = {
    {.name = "there and back: bare", .run = bare_pairs, .bare = 0, .floor = 1},
    {.name = "there and back: floor", .run = floor_pairs, .bare = 0, .floor = 1},
    {.name = "resume, yield", .run = resume_and_yield, .bare = 0, .floor = 1},
    {.name = "enter, yield", .run = enter_and_yield, .bare = 0, .floor = 1},
    {.name = "a life: bare", .run = bare_lives, .bare = 4, .floor = 5},
    {.name = "a life: floor", .run = floor_lives, .bare = 4, .floor = 5},
    {.name = "create, resume, end", .run = create_resume_and_end, .bare = 4, .floor = 5},
    {.name = "create, enter, end", .run = create_enter_and_end, .bare = 4, .floor = 5},
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double measure(void (*run)(int count))
{
    int64_t began = aio_clock_get_ns(AIO_CLOCK_REALTIME);
    run(COUNT);
    return (double)(aio_clock_get_ns(AIO_CLOCK_REALTIME) - began) / COUNT;
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : ROUNDS;
    if (rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: bench_coroutine [ROUNDS], 1 to %d\n", ROUNDS_MAX);
        return 2;
    }
    ctx = aio_context_new(NULL);
    yielder = aio_co_create(yield_for_ever, NULL);
    if (!ctx || !yielder) {
        fprintf(stderr, "bench_coroutine: no context, or no coroutine\n");
        return 1;
    }
    aio_context_bind(ctx);
    flow = flow_create(flow_for_ever);
    for (int round = -1; round < rounds; round++) { /* the first one warms up */
        for (int i = 0; i < ROWS; i++) {
            rows[i].ns[round < 0 ? 0 : round] = measure(rows[i].run);
        }
    }
    for (int i = 0; i < ROWS; i++) {
        qsort(rows[i].ns, (size_t)rounds, sizeof(double), by_value);
    }
    printf("%-22s %7s %7s %7s %7s\n", "", "ns", "least", "/ bare", "/ floor");
    for (int i = 0; i < ROWS; i++) {
        const double *ns = rows[i].ns;
        double median = ns[rounds / 2];
        printf("%-22s %7.2f %7.2f %7.2f %7.2f\n", rows[i].name, median, ns[0],
               median / rows[rows[i].bare].ns[rounds / 2],
               median / rows[rows[i].floor].ns[rounds / 2]);
    }
    over = true;
    aio_co_resume(yielder);
    aio_context_unref(ctx);
    return 0;
}
