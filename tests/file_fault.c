/*
 * See file_fault.h: each __wrap_ function is what the linker puts in the place of the call, each __real_ one is the
 * call. Where the C library has names of their own for calls with 64-bit offsets, it is those that are used.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include "tests/file_fault.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef __GLIBC__
#define WRAP(name) __wrap_##name##64
#define REAL(name) __real_##name##64
#else
#define WRAP(name) __wrap_##name
#define REAL(name) __real_##name
#endif

_Static_assert((int)FILE_FAULTS <= (int)FAULT_KINDS_MAX, "there is a plan for each");

static bool fails(FileFault call)
{
    return fault_strikes(call) && fault_error(call) != FAULT_SHORT;
}

/* The one byte that a transfer is cut to: the first of the first piece, none of which is empty. */
static struct iovec first_byte(const struct iovec *iov)
{
    return (struct iovec){.iov_base = iov->iov_base, .iov_len = 1};
}

#define REPLACE_TRANSFER(call, name)                                                               \
    ssize_t REAL(name)(int fd, const struct iovec *iov, int count, int64_t offset);                \
    ssize_t WRAP(name)(int fd, const struct iovec *iov, int count, int64_t offset);                \
    ssize_t WRAP(name)(int fd, const struct iovec *iov, int count, int64_t offset)                 \
    {                                                                                              \
        struct iovec byte = first_byte(iov);                                                       \
        if (!fault_strikes(call)) {                                                                \
            return REAL(name)(fd, iov, count, offset);                                             \
        }                                                                                          \
        return fault_error(call) ? -1 : REAL(name)(fd, &byte, 1, offset);                          \
    }

#define REPLACE(call, result, wrap, real, parameters, arguments)                                   \
    result real parameters;                                                                        \
    result wrap parameters;                                                                        \
    result wrap parameters                                                                         \
    {                                                                                              \
        return fails(call) ? -1 : real arguments;                                                  \
    }

REPLACE_TRANSFER(FILE_FAULT_READ, preadv)
REPLACE_TRANSFER(FILE_FAULT_WRITE, pwritev)
REPLACE(FILE_FAULT_FSYNC, int, __wrap_fsync, __real_fsync, (int fd), (fd))
REPLACE(FILE_FAULT_FDATASYNC, int, __wrap_fdatasync, __real_fdatasync, (int fd), (fd))
REPLACE(FILE_FAULT_ALLOCATE, int, WRAP(fallocate), REAL(fallocate),
        (int fd, int mode, int64_t offset, int64_t length), (fd, mode, offset, length))
REPLACE(FILE_FAULT_TRUNCATE, int, WRAP(ftruncate), REAL(ftruncate), (int fd, int64_t length),
        (fd, length))
REPLACE(FILE_FAULT_SEEK, int64_t, WRAP(lseek), REAL(lseek), (int fd, int64_t offset, int whence),
        (fd, offset, whence))

int REAL(open)(const char *path, int flags, ...);
int WRAP(open)(const char *path, int flags, ...);
int WRAP(open)(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    unsigned mode = va_arg(args, unsigned); /* ignored by the system where there is none */
    va_end(args);
    return fails(FILE_FAULT_OPEN) ? -1 : REAL(open)(path, flags, mode);
}

int REAL(fcntl)(int fd, int command, ...);
int WRAP(fcntl)(int fd, int command, ...);
int WRAP(fcntl)(int fd, int command, ...)
{
    va_list args;
    va_start(args, command);
    void *arg = va_arg(args, void *);
    va_end(args);
    return fails(FILE_FAULT_CONTROL) ? -1 : REAL(fcntl)(fd, command, arg);
}

int __real_pthread_create(pthread_t *id, const pthread_attr_t *attributes, void *(*start)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attributes, void *(*start)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attributes, void *(*start)(void *),
                          void *arg)
{
    return fails(FILE_FAULT_THREAD) ? fault_error(FILE_FAULT_THREAD)
                                    : __real_pthread_create(id, attributes, start, arg);
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    long arg[6];
    va_list args;
    va_start(args, number);
    for (int i = 0; i < 6; i++) {
        arg[i] = va_arg(args, long);
    }
    va_end(args);
    if (number == SYS_preadv2 || number == SYS_pwritev2) {
        FileFault call = number == SYS_preadv2 ? FILE_FAULT_READ_NOWAIT : FILE_FAULT_WRITE_DURABLE;
        struct iovec byte = first_byte((const struct iovec *)(uintptr_t)arg[1]);
        if (fault_strikes(call)) {
            if (fault_error(call)) {
                return -1;
            }
            arg[1] = (long)(uintptr_t)&byte;
            arg[2] = 1;
        }
        return __real_syscall(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
    }
    return __real_syscall(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}
