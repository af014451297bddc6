/* A heap of arity 2. SPDX-License-Identifier: MIT */
#define ARITY 2
#define IN_ENTRY 0
#define LINE 0
#include "heap_template.h"

const Structure structure_heap2 = {
    .name = "heap2",
    HEAP_STRUCTURE,
};
