/* A heap of arity 4. SPDX-License-Identifier: MIT */
#include "structure.h"

#include <stdlib.h>

#define HEAP(name) name
#define ARITY 4
#define IN_ENTRY 1
#define LINE 0
#include "heap_template.h"

const Structure structure_heap4_entry = {
    .name = "heap4_entry",
    .exact = true,
    .item_bytes = sizeof(size_t),
    .create = create,
    .destroy = destroy,
    .arm = arm,
    .move = move,
    .cancel = cancel,
    .expire = expire,
    .idle = idle,
    .shared_bytes = shared_bytes,
};
