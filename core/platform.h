/*
 * Seam 3 of 4: what core needs of the system. One implementation a system, in posix/ or win32/.
 *
 * True of all: none decides policy; those that can fail return 0 or a negative errno value and hand
 * results through pointers; none touches errno as its caller sees it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_PLATFORM_H
#define AIOCTX_CORE_PLATFORM_H

#include "aioctx/types.h"

/* Storage for the system's own type; the implementation checks at compile time that it fits. */
typedef struct AioMutex {
    uint64_t storage[6];
} AioMutex;

typedef struct AioCond {
    uint64_t storage[6];
} AioCond;

typedef struct AioOsThread {
    uint64_t storage[1];
} AioOsThread;

/* Start a thread; `name` lives until `start` is called. It ends when `start` returns; all signals but those of its own faults are blocked in it. */
int aio__thread_start(AioOsThread *thread, const char *name, void (*start)(void *), void *arg);

/* Wait for the end of a thread that was started; once for each. */
void aio__thread_join(AioOsThread *thread);

/* The number of the calling process. A child that began as a copy of its parent has another than that. */
uint64_t aio__process_id(void);

/* Let another thread run. */
void aio__thread_yield(void);

/* Tell the processor that this is a spin. */
void aio__cpu_relax(void);

/* Not recursive. Cannot fail on our systems. */
void aio__mutex_init(AioMutex *mutex);
void aio__mutex_destroy(AioMutex *mutex);
void aio__mutex_lock(AioMutex *mutex);
bool aio__mutex_trylock(AioMutex *mutex);
void aio__mutex_unlock(AioMutex *mutex);

/* With the mutex held; wakes may be spurious. The timed wait returns false when the time was up. */
void aio__cond_init(AioCond *cond);
void aio__cond_destroy(AioCond *cond);
void aio__cond_wait(AioCond *cond, AioMutex *mutex);
bool aio__cond_timedwait(AioCond *cond, AioMutex *mutex, int64_t timeout_ns);
void aio__cond_signal(AioCond *cond);
void aio__cond_broadcast(AioCond *cond);

/* Nanoseconds since some moment; never goes back, never jumps. The clock that pollers wait on. */
int64_t aio__monotonic_ns(void);

/* Nanoseconds since the epoch, as the wall clock has it. */
int64_t aio__wall_clock_ns(void);

/* An environment variable, or NULL where there is none or the program runs with borrowed rights. */
const char *aio__getenv(const char *name);

/* A stack of `size` usable bytes with a guard below; *base is the lowest usable address. */
int aio__stack_alloc(size_t size, void **base);
void aio__stack_free(void *base, size_t size);

/* What a file is asked for. All block as their system calls do; SIZE and those after it are quick. */
typedef enum AioFileIoKind {
    AIO_FILE_IO_READ,
    AIO_FILE_IO_WRITE,
    AIO_FILE_IO_FSYNC,
    AIO_FILE_IO_FDATASYNC,
    AIO_FILE_IO_DISCARD,
    AIO_FILE_IO_WRITE_ZEROES,
    AIO_FILE_IO_SIZE,
    AIO_FILE_IO_EXTENT,
    AIO_FILE_IO_PROBE,
    AIO_FILE_IO_CLOSE,
} AioFileIoKind;

/* A flag beside those of AioFileRequestFlags. A read: -EAGAIN rather than wait for the device. */
#define AIO_FILE_IO_NOWAIT (1u << 16)
/* Another: the handle goes past the page cache. */
#define AIO_FILE_IO_DIRECT (1u << 17)

typedef struct AioFileIo {
    AioFileIoKind kind;
    unsigned flags; /* FUA for writes; NO_HOLE, FAST and FUA for zeroes; NOWAIT for reads; DIRECT */
    AioHandle handle;
    const AioIoVec *iov; /* borrowed: until it has been run; of reads and writes */
    int iovcnt;
    int64_t offset;
    int64_t length; /* of reads and writes: that of all pieces together */
    bool is_hole;   /* EXTENT: what was found */
} AioFileIo;

/* Open a file (AioFileOpenFlags). -EISDIR, -ESPIPE for what has no offsets, -EAGAIN where it is locked. */
int aio__file_io_open(const char *path, unsigned flags, AioHandle *handle);

/*
 * One attempt at it; -EINTR or -EAGAIN: try again.
 *  READ, WRITE, WRITE_ZEROES  the bytes done, perhaps fewer than asked for; a READ's 0 is the end of the file
 *  FSYNC, FDATASYNC, CLOSE    0
 *  DISCARD                    0; -ENOTSUP where the file system can't
 *  SIZE                       the size
 *  EXTENT                     the length of what starts at `offset`, no more than `length`; -ENXIO at the end
 *  PROBE                      which of AIO_FILE_READ, _WRITE, _DIRECT the handle has; errors as those of open
 */
int64_t aio__file_io_run(AioFileIo *io);

/*
 * Why the system can't watch a handle of this kind: 0, -EBADF, -EINVAL or -ENOTSUP. Kinds that are the same
 * thing on this system become one in *kind.
 */
int aio__handle_check(AioHandle handle, AioHandleKind *kind);

#endif
