/*
 * See fault_plan.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fault_plan.h"

#include <errno.h>
#include <stdatomic.h>

/* Changed only while nobody makes the call. */
typedef struct Plan {
    unsigned first; /* the number of the first that fails; 0: none */
    unsigned count;
    int error;
    atomic_uint calls;
} Plan;

static Plan plans[FAULT_KINDS_MAX];
static atomic_uint failures;

void fault_arm(unsigned call, unsigned n, unsigned count, int error)
{
    plans[call].first = atomic_load(&plans[call].calls) + n;
    plans[call].count = count;
    plans[call].error = error;
}

unsigned fault_reset(void)
{
    for (unsigned i = 0; i < FAULT_KINDS_MAX; i++) {
        plans[i].first = 0;
        atomic_store(&plans[i].calls, 0);
    }
    return atomic_exchange(&failures, 0);
}

unsigned fault_count(unsigned call)
{
    return atomic_load(&plans[call].calls);
}

bool fault_strikes(unsigned call)
{
    Plan *plan = &plans[call];
    unsigned n = atomic_fetch_add(&plan->calls, 1) + 1;
    if (plan->first == 0 || n < plan->first || n - plan->first >= plan->count) {
        return false;
    }
    atomic_fetch_add(&failures, 1);
    errno = plan->error;
    return true;
}

int fault_error(unsigned call)
{
    return plans[call].error;
}
