/* A heap of arity 4. SPDX-License-Identifier: MIT */
#define ARITY 4
#define IN_ENTRY 0
#define LINE 0
#include "heap_template.h"

const Structure structure_heap4 = {
    .name = "heap4",
    HEAP_STRUCTURE,
};
