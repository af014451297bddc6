/* A heap of arity 2. SPDX-License-Identifier: MIT */
#include "structure.h"

#include <stdlib.h>

#define HEAP(name) name
#define ARITY 2
#define IN_ENTRY 0
#define LINE 0
#include "heap_template.h"

const Structure structure_heap2 = {
    .name = "heap2",
    .exact = true,
    .item_bytes = sizeof(size_t) + sizeof(uint64_t),
    .create = create,
    .destroy = destroy,
    .arm = arm,
    .move = move,
    .cancel = cancel,
    .expire = expire,
    .idle = idle,
    .shared_bytes = shared_bytes,
};
