/*
 * The assembly backend: its C part, the same for every processor. co_asm_<processor>.S switches.
 *
 * A state that does not run is its stack pointer, and the registers that a function has to preserve lie on
 * the stack above it. The switch functions end in a tail call, so that in a build without checkers a whole
 * enter or yield is one chain of jumps: the return address predictor of the processor is not led astray.
 *
 * SPDX-License-Identifier: MIT
 */
#include "posix/co_stack.h"

/* Save the registers in `from`, load those of `to`, and return there. */
void aio__co_asm_switch(AioCoState *from, AioCoState *to);

/* The same with a call of aio__co_asm_arrived() in between, on the stack of `to`. */
void aio__co_asm_switch_then(AioCoState *from, AioCoState *to, void (*then)(void *), void *arg);

/* Lay out the registers with which a new state calls aio__co_asm_begin() on the stack below `top`. */
void aio__co_asm_prepare(AioCoState *state, void *top);

/* Called from assembly. */
void aio__co_asm_begin(AioCoState *self);
void aio__co_asm_arrived(AioCoState *self, void (*then)(void *), void *arg);

void aio__co_asm_begin(AioCoState *self)
{
    co_check_arrive(self);
    self->run(self->arg);
}

void aio__co_asm_arrived(AioCoState *self, void (*then)(void *), void *arg)
{
    co_check_arrive(self);
    then(arg);
}

int aio__co_state_init(AioCoState *state, size_t stack_size, void (*run)(void *), void *arg)
{
    int ret = co_stack_init(state, stack_size, run, arg);
    if (ret == 0) {
        aio__co_asm_prepare(state, (char *)state->stack + stack_size);
    }
    return ret;
}

void aio__co_state_destroy(AioCoState *state)
{
    co_stack_destroy(state);
}

void aio__co_switch(AioCoState *from, AioCoState *to)
{
    co_check_leave(from, to, AIO_CO_LEAVE_YIELD);
    aio__co_asm_switch(from, to);
    co_check_arrive(from);
}

void aio__co_switch_then(AioCoState *from, AioCoState *to, AioCoLeave how, void (*then)(void *),
                         void *arg)
{
    co_check_leave(from, to, how);
    aio__co_asm_switch_then(from, to, then, arg);
    co_check_arrive(from);
}
