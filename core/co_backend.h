/*
 * Seam 4 of 4: how a stack is made and switched. One file a backend, chosen by AIOCTX_CO_BACKEND.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_CO_BACKEND_H
#define AIOCTX_CORE_CO_BACKEND_H

#include "aioctx/types.h"

#endif
