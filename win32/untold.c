/*
 * Reporting what an update left to be told. A watch leaves the list with its next update, which it must: it may be gone
 * after that.
 *
 * SPDX-License-Identifier: MIT
 */
#include "win32/untold.h"

void aio__untold_update(AioList *untold, AioWatch *watch, unsigned wanted, int error)
{
    aio__node_unlink(&watch->own_node);
    watch->error = error;
    if (error) {
        watch->wanted = 0;
    }
    bool kept = wanted && (watch->ready & AIO_WATCH_ONCE) && !aio__node_linked(&watch->ready_node);
    if (error || kept) {
        aio__list_push(untold, &watch->own_node);
    }
}

int aio__untold_report(AioList *untold, AioList *ready)
{
    AioNode *node;
    int found = 0;
    while ((node = aio__list_pop(untold))) {
        AioWatch *watch = aio__watch_of_own(node);
        unsigned facts = watch->ready;
        if (watch->error) {
            watch->state = AIO_WATCH_IDLE;
            watch->wanted = 0;
            facts = AIO_WATCH_FAILED;
        }
        aio__watch_set_ready(watch, facts, ready);
        found++;
    }
    return found;
}
