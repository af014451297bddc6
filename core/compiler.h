/*
 * What is asked of the compiler beyond C11.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_COMPILER_H
#define AIOCTX_CORE_COMPILER_H

/*
 * For each function that touches a thread-local: a coroutine may be in another thread after a call, and
 * so no caller may keep the variable's address.
 */
#if defined(__GNUC__) || defined(__clang__)
#define AIO__NOT_INLINED __attribute__((noinline))
#else
#define AIO__NOT_INLINED
#endif

#endif
