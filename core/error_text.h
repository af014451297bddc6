/*
 * Words for errno values.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_ERROR_TEXT_H
#define AIOCTX_CORE_ERROR_TEXT_H

/* Of a positive errno value; static. */
const char *aio__error_text(int error);

#endif
