/*
 * Seam 4 of 4: how a stack is made and switched. One backend a build, chosen by AIOCTX_CO_BACKEND.
 *
 * A backend knows stacks and nothing else: no coroutine, context or queue. It reads no thread-local of
 * its own after a switch, since that may return in another thread. The floating-point environment and the
 * signal mask belong to the thread: whether they are switched along is the backend's choice.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_CO_BACKEND_H
#define AIOCTX_CORE_CO_BACKEND_H

#include "aioctx/types.h"

/*
 * One flow of control: a coroutine's or, all zero to begin with, that of a thread. All fields are the
 * backend's to read and write.
 */
typedef struct AioCoState {
    void *resume; /* borrowed from the stack: where it goes on; at offset 0: assembly knows it */
    void *stack;  /* owned; of a thread: borrowed, and NULL until a checker tells */
    size_t stack_size;
    void (*run)(void *);
    void *arg;            /* borrowed until the state is destroyed */
    void (*then)(void *); /* to be called on arrival, where the backend can't do so by itself */
    void *then_arg;       /* borrowed until then() returns */
    void *check;          /* owned: a memory or race checker's object */
    struct AioCoState *came_from; /* borrowed during a switch, for a checker */
    unsigned stack_id;            /* valgrind's */
} AioCoState;

/* How a flow of control is left. */
typedef enum AioCoLeave {
    AIO_CO_LEAVE_YIELD, /* its frames stay in use */
    AIO_CO_LEAVE_END, /* they are over, but for the one that switches: it may go on or be destroyed */
} AioCoLeave;

/*
 * Make a stack on which run(arg) is called at the first switch; it never returns. 0 or a negative errno
 * value; the state needs no clean-up then.
 */
int aio__co_state_init(AioCoState *state, size_t stack_size, void (*run)(void *), void *arg);

/* Free the stack. Not the caller's own. */
void aio__co_state_destroy(AioCoState *state);

/*
 * Go on in `to`, until something switches to `from`. Once control has left, nothing of `from` is touched: it
 * may go on elsewhere at once. It does not fail: where control can't leave a thread for want of memory, the
 * program ends by aio__fatal(), since whoever enters a coroutine relies on its having run.
 */
void aio__co_switch(AioCoState *from, AioCoState *to);

/*
 * The same, and call then(arg) on the stack of `to` before that goes on: for what may only be done when `from`
 * has been left for good. `then` does not switch.
 */
void aio__co_switch_then(AioCoState *from, AioCoState *to, AioCoLeave how, void (*then)(void *),
                         void *arg);

#endif
