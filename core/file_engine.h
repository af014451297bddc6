/*
 * Seam 3 of 4: how file requests are done.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_FILE_ENGINE_H
#define AIOCTX_CORE_FILE_ENGINE_H

#include "aioctx/file.h"

typedef struct AioFileEngine AioFileEngine;

#endif
