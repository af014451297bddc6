/*
 * The portable backend, on makecontext(3) and swapcontext(3). Slow, since those make a system call to
 * switch the signal mask as well; for processors without assembly of ours.
 *
 * The context of a state that does not run lies on its own stack, in the frame of the switch that left it,
 * so that states of threads need no clean-up.
 *
 * SPDX-License-Identifier: MIT
 */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <ucontext.h>

#include "posix/co_stack.h"

/* What is left to do on the side where control came in. */
static void arrive(AioCoState *self)
{
    co_check_arrive(self);
    void (*then)(void *) = self->then;
    if (then) {
        self->then = NULL;
        then(self->then_arg);
    }
}

/* makecontext(3) hands on nothing but ints. */
static void begin(unsigned high, unsigned low)
{
    AioCoState *self = (AioCoState *)(uintptr_t)((uint64_t)high << 32 | low);
    arrive(self);
    self->run(self->arg);
}

int aio__co_state_init(AioCoState *state, size_t stack_size, void (*run)(void *), void *arg)
{
    int ret = co_stack_init(state, stack_size, run, arg);
    if (ret < 0) {
        return ret;
    }
    size_t used = (sizeof(ucontext_t) + 63) & ~(size_t)63;
    ucontext_t *context = (ucontext_t *)(void *)((char *)state->stack + stack_size - used);
    if (getcontext(context) < 0) {
        ret = -errno;
        co_stack_destroy(state);
        return ret;
    }
    context->uc_link = NULL;
    context->uc_stack.ss_sp = state->stack;
    context->uc_stack.ss_size = stack_size - used;
    context->uc_stack.ss_flags = 0;
    uint64_t self = (uintptr_t)state;
    makecontext(context, (void (*)(void))begin, 2, (unsigned)(self >> 32), (unsigned)self);
    state->resume = context;
    return 0;
}

void aio__co_state_destroy(AioCoState *state)
{
    co_stack_destroy(state);
}

static void leave(AioCoState *from, AioCoState *to, AioCoLeave how)
{
    ucontext_t here;
    here.uc_stack = (stack_t){.ss_size = 0}; /* AddressSanitizer reads it, nobody else sets it */
    from->resume = &here;
    co_check_leave(from, to, how);
    swapcontext(&here, to->resume);
    arrive(from);
}

void aio__co_switch(AioCoState *from, AioCoState *to)
{
    leave(from, to, AIO_CO_LEAVE_YIELD);
}

void aio__co_switch_then(AioCoState *from, AioCoState *to, AioCoLeave how, void (*then)(void *),
                         void *arg)
{
    to->then = then;
    to->then_arg = arg;
    leave(from, to, how);
}
