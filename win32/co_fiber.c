/*
 * The backend of Windows: fibers, which switch the stack's bounds along with it, as exceptions need.
 *
 * A thread becomes a fiber when it enters a coroutine and stops being one when control is back, unless it was one
 * before: so it is left as it was found. Nothing is read from thread-locals after a switch.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "core/co_backend.h"
#include "core/fatal.h"
#include "win32/win32.h"

/* Committed at first; the rest is reserved. */
#define COMMITTED 16384

/* How often the system is asked to make the thread a fiber, and how long it has in between. */
enum { TRIES = 10, PAUSE_MS = 50 };

/* The system's inline function reads the thread's block at address 0 of a segment, which gcc takes for a null pointer. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Warray-bounds"
static void *current_fiber(void)
{
    return GetCurrentFiber();
}
#pragma GCC diagnostic pop

static bool is_thread(const AioCoState *state)
{
    return !state->run;
}

/* What is left to do on the side where control came in. */
static void arrive(AioCoState *self)
{
    void (*then)(void *) = self->then;
    if (then) {
        self->then = NULL;
        then(self->then_arg);
    }
}

static void CALLBACK begin(void *opaque)
{
    AioCoState *self = opaque;
    arrive(self);
    self->run(self->arg);
}

int aio__co_state_init(AioCoState *state, size_t stack_size, void (*run)(void *), void *arg)
{
    memset(state, 0, sizeof(*state));
    state->run = run;
    state->arg = arg;
    state->stack_size = stack_size;
    state->resume = CreateFiberEx(COMMITTED, stack_size, FIBER_FLAG_FLOAT_SWITCH, begin, state);
    return state->resume ? 0 : aio__last_error();
}

void aio__co_state_destroy(AioCoState *state)
{
    DeleteFiber(state->resume);
}

/*
 * Takes a little memory. The system may have none for as long as its paging file grows, so it is asked again; after that
 * control has no way on, and nobody could be told.
 */
static void *become_fiber(void)
{
    DWORD error = 0;
    for (int i = 0; i < TRIES; i++) {
        void *fiber = ConvertThreadToFiberEx(NULL, FIBER_FLAG_FLOAT_SWITCH);
        if (fiber) {
            return fiber;
        }
        error = GetLastError();
        Sleep(PAUSE_MS);
    }
    aio__fatal("Entering a coroutine: the thread can't become a fiber, error %lu of Windows",
               error);
}

static void leave(AioCoState *from, AioCoState *to)
{
    bool converted = false;
    if (is_thread(from)) {
        converted = !IsThreadAFiber();
        from->resume = converted ? become_fiber() : current_fiber();
    }
    SwitchToFiber(to->resume);
    arrive(from);
    if (converted) {
        ConvertFiberToThread();
    }
}

void aio__co_switch(AioCoState *from, AioCoState *to)
{
    leave(from, to);
}

void aio__co_switch_then(AioCoState *from, AioCoState *to, AioCoLeave how, void (*then)(void *),
                         void *arg)
{
    (void)how;
    to->then = then;
    to->then_arg = arg;
    leave(from, to);
}
