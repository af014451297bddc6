/*
 * What fixture.c and the system's part of the fixture ask of each other.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_TESTS_FIXTURE_OS_H
#define AIOCTX_TESTS_FIXTURE_OS_H

void fixture_os_init(void);

/* The one test that this run is for, or NULL. In fixture.c. */
const char *fixture_test(void);

#endif
