/*
 * What bench/coroutine.c compares with: the assembly of the library's own backend with nothing around it, and with
 * the least that a library of coroutines puts around it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_BENCH_COROUTINES_FLOOR_H
#define AIOCTX_BENCH_COROUTINES_FLOOR_H

/* The switch in a tight loop: there and back; and with a stack laid out anew each time. */
void bare_pairs(int count);
void bare_lives(int count);

/*
 * The switch below ordinary functions that return: they pass a value, keep who runs in a thread-local, and take
 * coroutines from a list of ended ones.
 */
typedef struct Flow Flow;
Flow *flow_create(void *(*entry)(void *));
void *flow_enter(Flow *flow, void *value);
void *flow_yield(void *value);

#endif
