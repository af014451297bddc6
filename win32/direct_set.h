/*
 * The handles that a poller hands to the system's wait itself.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_WIN32_DIRECT_SET_H
#define AIOCTX_WIN32_DIRECT_SET_H

#include "win32/object.h"

/* What the poller waits for beside them. */
#define AIO_OWN_HANDLES 3
#define AIO_DIRECT_MAX (MAXIMUM_WAIT_OBJECTS - AIO_OWN_HANDLES)

/* All zero to begin with. `own` of a watch in it is its index. */
typedef struct AioDirectSet {
    AioObject objects[AIO_DIRECT_MAX];
    size_t count;
    size_t first; /* where the next look begins */
} AioDirectSet;

/* Take a watch in; false where there is no room. */
bool aio__direct_add(AioDirectSet *set, AioWatch *watch, AioObjectKind kind);

/* Take a watch out; false where it is not in there. */
bool aio__direct_remove(AioDirectSet *set, AioWatch *watch);

/* The handles, for a wait. Returns how many. */
DWORD aio__direct_handles(const AioDirectSet *set, HANDLE *handles);

/* Report each that is signalled, beginning at another place each time. Returns how many, or -EBADF. */
int aio__direct_look(AioDirectSet *set, AioList *ready);

/*
 * The same after a wait that told of the one at `index`, and of nothing before it, so that the signal is taken: that one is
 * reported without another look.
 */
int aio__direct_told(AioDirectSet *set, size_t index, AioList *ready);

/* After a wait has failed: move those that are to blame to `lost`, linked by own_node. */
void aio__direct_drop_bad(AioDirectSet *set, AioList *ready, AioList *lost);

#endif
