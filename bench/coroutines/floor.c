/*
 * The floors of bench/coroutine.c. In a file of its own, so that nothing of it is inlined where it is measured.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bench/coroutines/floor.h"

#include <stdbool.h>
#include <stdlib.h>

#include "core/co_backend.h"

#define STACK_SIZE ((size_t)64 * 1024)

/* Of posix/co_asm_*.S. */
void aio__co_asm_switch(AioCoState *from, AioCoState *to);
void aio__co_asm_prepare(AioCoState *state, void *top);

static void prepare(AioCoState *state)
{
    aio__co_asm_prepare(state, (char *)state->stack + STACK_SIZE);
}

static void init(AioCoState *state, void (*run)(void *), void *arg)
{
    state->stack = aligned_alloc(64, STACK_SIZE); /* kept until the program ends */
    if (!state->stack) {
        abort();
    }
    state->stack_size = STACK_SIZE;
    state->run = run;
    state->arg = arg;
    prepare(state);
}

static AioCoState bare_main;
static AioCoState bare_other;

static void switch_back(void *arg)
{
    (void)arg;
    for (;;) {
        aio__co_asm_switch(&bare_other, &bare_main);
    }
}

void bare_pairs(int count)
{
    if (!bare_other.stack) {
        init(&bare_other, switch_back, NULL);
    }
    for (int i = 0; i < count; i++) {
        aio__co_asm_switch(&bare_main, &bare_other);
    }
}

void bare_lives(int count)
{
    for (int i = 0; i < count; i++) {
        prepare(&bare_other);
        aio__co_asm_switch(&bare_main, &bare_other);
    }
}

struct Flow {
    AioCoState state;
    Flow *caller; /* borrowed while it runs */
    Flow *next;   /* linked: the next that has ended */
    void *(*entry)(void *);
    void *value;
    bool ended;
};

static _Thread_local Flow leader;
static _Thread_local Flow *current;
static _Thread_local Flow *ended;

static void *leave(Flow *flow, void *value)
{
    current = flow->caller;
    flow->value = value;
    aio__co_asm_switch(&flow->state, &flow->caller->state);
    return flow->value;
}

static void live(void *arg)
{
    Flow *flow = arg;
    for (;;) {
        void *value = flow->entry(flow->value);
        flow->ended = true;
        leave(flow, value);
    }
}

Flow *flow_create(void *(*entry)(void *))
{
    Flow *flow = ended;
    if (flow) {
        ended = flow->next;
    } else {
        flow = calloc(1, sizeof(*flow));
        if (!flow) {
            abort();
        }
        init(&flow->state, live, flow);
    }
    flow->entry = entry;
    flow->ended = false;
    return flow;
}

void *flow_enter(Flow *flow, void *value)
{
    flow->caller = current ? current : &leader;
    current = flow;
    flow->value = value;
    aio__co_asm_switch(&flow->caller->state, &flow->state);
    if (flow->ended) {
        flow->next = ended;
        ended = flow;
    }
    return flow->value;
}

void *flow_yield(void *value)
{
    return leave(current, value);
}
