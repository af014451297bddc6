/*
 * What fixture.c asks of the system's part of the fixture.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_TESTS_FIXTURE_OS_H
#define AIOCTX_TESTS_FIXTURE_OS_H

void fixture_os_init(void);

#endif
