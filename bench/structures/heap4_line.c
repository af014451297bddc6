/* A heap of arity 4. SPDX-License-Identifier: MIT */
#define ARITY 4
#define IN_ENTRY 0
#define LINE 1
#include "heap_template.h"

const Structure structure_heap4_line = {
    .name = "heap4_line",
    HEAP_STRUCTURE,
};
