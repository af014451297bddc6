/*
 * File I/O by blocking calls: one attempt at each thing that a file is asked for, at an offset that goes with the call.
 *
 * Works on handles that were opened for overlapped I/O and on others. The operation is waited for by an event of its own, whose
 * lowest bit keeps its completion off a port that the handle may be bound to.
 *
 * SPDX-License-Identifier: MIT
 */
#include "win32/file_io.h"

#include <errno.h>
#include <string.h>

#include "aioctx/file.h"
#include "core/alloc.h"
#include "core/platform.h"
#include "win32/win32.h"

#include <winioctl.h>
#include <winternl.h>

#define SECTOR 512                     /* the smallest there is */
#define MAX_TRANSFER ((size_t)1 << 30) /* of one call */

/* Where locks go that exclude each other, and nobody's data. */
#define LOCK_OFFSET INT64_C(0x7ffffffffffffffe)

#define FILE_ACCESS_INFORMATION ((FILE_INFORMATION_CLASS)8)
#define FILE_MODE_INFORMATION ((FILE_INFORMATION_CLASS)16)
#define NO_INTERMEDIATE_BUFFERING 8u

typedef struct Operation {
    OVERLAPPED overlapped;
    HANDLE event; /* owned */
} Operation;

static int begin(Operation *operation, int64_t offset)
{
    memset(operation, 0, sizeof(*operation));
    operation->event = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (!operation->event) {
        return aio__last_error();
    }
    operation->overlapped.hEvent = (HANDLE)((uintptr_t)operation->event | 1);
    operation->overlapped.Offset = (DWORD)offset;
    operation->overlapped.OffsetHigh = (DWORD)((uint64_t)offset >> 32);
    return 0;
}

/* The end of an operation that was started, or that failed at once: bytes, or a negative errno value. */
static int64_t finish(Operation *operation, HANDLE file, BOOL done)
{
    DWORD bytes = 0;
    DWORD error = done ? ERROR_SUCCESS : GetLastError();
    if (error == ERROR_SUCCESS || error == ERROR_IO_PENDING) {
        error = GetOverlappedResult(file, &operation->overlapped, &bytes, TRUE) ? ERROR_SUCCESS
                                                                                : GetLastError();
    }
    CloseHandle(operation->event);
    if (error == ERROR_HANDLE_EOF) {
        return 0;
    }
    return error == ERROR_SUCCESS || error == ERROR_MORE_DATA ? (int64_t)bytes
                                                              : aio__win32_error(error);
}

static int64_t size_of(HANDLE file)
{
    LARGE_INTEGER size;
    return GetFileSizeEx(file, &size) ? size.QuadPart : aio__last_error();
}

/*
 * Past the cache, whole sectors are transferred, to and from whole ones. The system says so of the first misfit; some of them
 * don't, so it is said here.
 */
bool aio__file_io_is_misaligned(const AioFileIo *io)
{
    if (!(io->flags & AIO_FILE_IO_DIRECT)) {
        return false;
    }
    uint64_t bits = (uint64_t)io->offset;
    for (int i = 0; i < io->iovcnt; i++) {
        bits |= (uintptr_t)io->iov[i].base | io->iov[i].len;
    }
    return bits % SECTOR != 0;
}

static DWORD size_of_piece(const AioIoVec *piece)
{
    return (DWORD)(piece->len < MAX_TRANSFER ? piece->len : MAX_TRANSFER);
}

static int64_t transfer(HANDLE file, bool write, void *base, DWORD size, int64_t offset)
{
    Operation operation;
    int error = begin(&operation, offset);
    if (error) {
        return error;
    }
    BOOL done = write ? WriteFile(file, base, size, NULL, &operation.overlapped)
                      : ReadFile(file, base, size, NULL, &operation.overlapped);
    return finish(&operation, file, done);
}

/* Piece by piece, until one comes back short. What was done before an error counts. */
static int64_t transfer_pieces(const AioFileIo *io, bool write)
{
    int64_t total = 0;
    if (aio__file_io_is_misaligned(io)) {
        /* What is left of a read that met the end is not. */
        return !write && io->offset >= size_of((HANDLE)io->handle) ? 0 : -EINVAL;
    }
    for (int i = 0; i < io->iovcnt; i++) {
        DWORD size = size_of_piece(&io->iov[i]);
        if (size == 0) {
            continue;
        }
        int64_t n = transfer((HANDLE)io->handle, write, io->iov[i].base, size, io->offset + total);
        if (n < 0) {
            return total ? total : n;
        }
        total += n;
        if ((size_t)n < io->iov[i].len) {
            break;
        }
    }
    return total;
}

/* A handle that only reads has nothing to bring to the disk. */
static int flush(HANDLE file)
{
    if (FlushFileBuffers(file) || GetLastError() == ERROR_ACCESS_DENIED) {
        return 0;
    }
    return aio__last_error();
}

static int64_t write_some(const AioFileIo *io)
{
    int64_t n = transfer_pieces(io, true);
    int error = n >= 0 && (io->flags & AIO_FILE_FUA) ? flush((HANDLE)io->handle) : 0;
    return error ? error : n;
}

static int64_t control(HANDLE file, DWORD code, void *in, size_t in_size, void *out,
                       size_t out_size)
{
    Operation operation;
    int error = begin(&operation, 0);
    if (error) {
        return error;
    }
    return finish(&operation, file,
                  DeviceIoControl(file, code, in, (DWORD)in_size, out, (DWORD)out_size, NULL,
                                  &operation.overlapped));
}

/* Make a range of a file that may have holes a hole; up to the end of the file only. */
static int punch(HANDLE file, int64_t offset, int64_t length)
{
    FILE_SET_SPARSE_BUFFER sparse = {.SetSparse = TRUE};
    int64_t error = control(file, FSCTL_SET_SPARSE, &sparse, sizeof(sparse), NULL, 0);
    if (error >= 0) {
        FILE_ZERO_DATA_INFORMATION range = {.FileOffset.QuadPart = offset,
                                            .BeyondFinalZero.QuadPart = offset + length};
        error = control(file, FSCTL_SET_ZERO_DATA, &range, sizeof(range), NULL, 0);
    }
    return error < 0 ? (int)error : 0;
}

static int set_size(HANDLE file, int64_t size)
{
    FILE_END_OF_FILE_INFO info = {.EndOfFile.QuadPart = size};
    return SetFileInformationByHandle(file, FileEndOfFileInfo, &info, sizeof(info))
               ? 0
               : aio__last_error();
}

/* Past the end a file is zero already when it reaches further. */
static int zero_by_hole(HANDLE file, int64_t offset, int64_t length)
{
    int64_t size = size_of(file);
    int error = size < 0 ? (int)size : punch(file, offset, length);
    if (!error && offset + length > size) {
        error = set_size(file, offset + length);
    }
    return error;
}

static int64_t write_some_zeroes(const AioFileIo *io)
{
    /* Alignment for handles that go past the cache. */
    static _Alignas(4096) char zeroes[65536];
    AioIoVec piece = {.base = zeroes, .len = sizeof(zeroes)};
    if (io->length < (int64_t)sizeof(zeroes)) {
        piece.len = (size_t)io->length;
    }
    AioFileIo part = *io;
    part.iov = &piece;
    part.iovcnt = 1;
    return write_some(&part);
}

static int64_t write_zeroes(const AioFileIo *io)
{
    HANDLE file = (HANDLE)io->handle;
    int error =
        io->flags & AIO_FILE_NO_HOLE ? -ENOTSUP : zero_by_hole(file, io->offset, io->length);
    if (error == -ENOTSUP && !(io->flags & AIO_FILE_FAST)) {
        return write_some_zeroes(io);
    }
    if (!error && (io->flags & AIO_FILE_FUA)) {
        error = flush(file);
    }
    return error ? error : io->length;
}

static int64_t find_extent(AioFileIo *io)
{
    HANDLE file = (HANDLE)io->handle;
    int64_t end = size_of(file);
    if (end < 0 || io->offset >= end) {
        return end < 0 ? end : -ENXIO;
    }
    FILE_ALLOCATED_RANGE_BUFFER asked = {.FileOffset.QuadPart = io->offset,
                                         .Length.QuadPart = end - io->offset};
    FILE_ALLOCATED_RANGE_BUFFER data = {.FileOffset.QuadPart = 0};
    int64_t n =
        control(file, FSCTL_QUERY_ALLOCATED_RANGES, &asked, sizeof(asked), &data, sizeof(data));
    io->is_hole = n == 0 || (n > 0 && data.FileOffset.QuadPart > io->offset);
    if (n > 0) {
        end = io->is_hole ? data.FileOffset.QuadPart
                          : data.FileOffset.QuadPart + data.Length.QuadPart;
    } else if (n < 0 && n != -ENOTSUP) {
        return n;
    }
    return end - io->offset < io->length ? end - io->offset : io->length;
}

/* What the handle may be used for. Where the system does not say, all. */
static int64_t access_of(HANDLE file)
{
    IO_STATUS_BLOCK status;
    ULONG granted = FILE_READ_DATA | FILE_WRITE_DATA;
    ULONG mode = 0;
    NtQueryInformationFile(file, &status, &granted, sizeof(granted), FILE_ACCESS_INFORMATION);
    NtQueryInformationFile(file, &status, &mode, sizeof(mode), FILE_MODE_INFORMATION);
    int64_t access = mode & NO_INTERMEDIATE_BUFFERING ? AIO_FILE_DIRECT : 0;
    access |= granted & FILE_READ_DATA ? AIO_FILE_READ : 0;
    access |= granted & FILE_WRITE_DATA ? AIO_FILE_WRITE : 0;
    return access;
}

static int64_t probe(AioHandle handle)
{
    HANDLE file = (HANDLE)handle;
    BY_HANDLE_FILE_INFORMATION facts;
    if (handle <= 0 || !aio__is_open(file)) {
        return -EBADF;
    }
    if (GetFileType(file) != FILE_TYPE_DISK) {
        return -ESPIPE;
    }
    if (GetFileInformationByHandle(file, &facts) &&
        (facts.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY)) {
        return -EISDIR;
    }
    return access_of(file);
}

int64_t aio__file_io_run(AioFileIo *io)
{
    HANDLE file = (HANDLE)io->handle;
    switch (io->kind) {
    case AIO_FILE_IO_READ:
        return io->flags & AIO_FILE_IO_NOWAIT ? -ENOTSUP : transfer_pieces(io, false);
    case AIO_FILE_IO_WRITE:
        return write_some(io);
    case AIO_FILE_IO_FSYNC:
    case AIO_FILE_IO_FDATASYNC:
        return flush(file);
    case AIO_FILE_IO_DISCARD:
        return punch(file, io->offset, io->length);
    case AIO_FILE_IO_WRITE_ZEROES:
        return write_zeroes(io);
    case AIO_FILE_IO_SIZE:
        return size_of(file);
    case AIO_FILE_IO_EXTENT:
        return find_extent(io);
    case AIO_FILE_IO_PROBE:
        return probe(io->handle);
    case AIO_FILE_IO_CLOSE:
        return CloseHandle(file) ? 0 : aio__last_error();
    }
    return -EINVAL;
}

/* UTF-8 to what the system speaks. The result is owned by the caller. */
static int wide_path(const char *path, wchar_t **wide)
{
    int size = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, NULL, 0);
    if (size == 0) {
        return aio__last_error();
    }
    *wide = aio__malloc((size_t)size * sizeof(wchar_t));
    if (!*wide) {
        return -ENOMEM;
    }
    MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, *wide, size);
    return 0;
}

static HANDLE open_path(const wchar_t *path, unsigned flags)
{
    DWORD access = 0;
    access |= flags & AIO_FILE_READ ? GENERIC_READ : 0;
    access |= flags & AIO_FILE_WRITE ? GENERIC_WRITE : 0;
    DWORD how = FILE_FLAG_OVERLAPPED | FILE_ATTRIBUTE_NORMAL;
    how |= flags & AIO_FILE_DIRECT ? FILE_FLAG_NO_BUFFERING : 0;
    return CreateFileW(path, access, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                       flags & AIO_FILE_CREATE ? OPEN_ALWAYS : OPEN_EXISTING, how, NULL);
}

static int error_of_open(const wchar_t *path)
{
    int error = aio__last_error();
    DWORD attributes = GetFileAttributesW(path);
    bool directory =
        attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY);
    return directory ? -EISDIR : error;
}

static int lock(HANDLE file, unsigned flags)
{
    OVERLAPPED where;
    memset(&where, 0, sizeof(where));
    where.Offset = (DWORD)LOCK_OFFSET;
    where.OffsetHigh = (DWORD)(LOCK_OFFSET >> 32);
    DWORD how = LOCKFILE_FAIL_IMMEDIATELY;
    how |= flags & AIO_FILE_WRITE ? LOCKFILE_EXCLUSIVE_LOCK : 0;
    if (LockFileEx(file, how, 0, 1, 0, &where)) {
        return 0;
    }
    return GetLastError() == ERROR_IO_PENDING ? -EAGAIN : aio__last_error();
}

int aio__file_io_open(const char *path, unsigned flags, AioHandle *handle)
{
    wchar_t *wide = NULL;
    *handle = AIO_HANDLE_NONE;
    int error = wide_path(path, &wide);
    if (error) {
        return error;
    }
    HANDLE file = open_path(wide, flags);
    error = file == INVALID_HANDLE_VALUE ? error_of_open(wide) : 0;
    aio__free(wide);
    if (error) {
        return error;
    }
    if (flags & AIO_FILE_LOCK) {
        error = lock(file, flags);
    }
    int64_t access = error ? error : probe((AioHandle)file);
    /* What somebody else has locked is not to be truncated. */
    if (access >= 0 && (flags & AIO_FILE_TRUNCATE)) {
        access = set_size(file, 0);
    }
    if (access < 0) {
        CloseHandle(file);
        return (int)access;
    }
    *handle = (AioHandle)file;
    return 0;
}
