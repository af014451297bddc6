/* A heap of arity 4. SPDX-License-Identifier: MIT */
#define ARITY 4
#define IN_ENTRY 1
#define LINE 0
#include "heap_template.h"

const Structure structure_heap4_entry = {
    .name = "heap4_entry",
    HEAP_STRUCTURE,
};
