/*
 * Files for tests, on Windows.
 *
 * SPDX-License-Identifier: MIT
 */
#define WIN32_LEAN_AND_MEAN
#define _WIN32_WINNT 0x0602
#include <windows.h>

#include "tests/fixture_file.h"

static HANDLE open_it(const FixtureFile *file, DWORD access)
{
    HANDLE handle =
        CreateFileA(file->path, access, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                    NULL, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
    assert_ptr_not_equal(handle, INVALID_HANDLE_VALUE);
    return handle;
}

FixtureFile fixture_file(int64_t size)
{
    FixtureFile file;
    char directory[MAX_PATH];
    assert_in_range(GetTempPathA(sizeof(directory), directory), 1, sizeof(directory));
    assert_int_not_equal(GetTempFileNameA(directory, "aio", 0, file.path), 0);
    HANDLE handle = open_it(&file, GENERIC_WRITE);
    LARGE_INTEGER end = {.QuadPart = size};
    assert_true(SetFilePointerEx(handle, end, NULL, FILE_BEGIN) && SetEndOfFile(handle));
    CloseHandle(handle);
    return file;
}

void fixture_file_remove(FixtureFile *file)
{
    DeleteFileA(file->path);
}

static OVERLAPPED at(int64_t offset)
{
    OVERLAPPED where;
    memset(&where, 0, sizeof(where));
    where.Offset = (DWORD)offset;
    where.OffsetHigh = (DWORD)((uint64_t)offset >> 32);
    return where;
}

int64_t fixture_file_load(const FixtureFile *file, void *buffer, size_t size, int64_t offset)
{
    HANDLE handle = open_it(file, GENERIC_READ);
    size_t used = 0;
    for (DWORD n = 1; used < size && n > 0; used += n) {
        OVERLAPPED where = at(offset + (int64_t)used);
        n = 0;
        ReadFile(handle, (char *)buffer + used, (DWORD)(size - used), &n, &where);
    }
    CloseHandle(handle);
    return (int64_t)used;
}

void fixture_file_store(const FixtureFile *file, const void *data, size_t size, int64_t offset)
{
    HANDLE handle = open_it(file, GENERIC_WRITE);
    OVERLAPPED where = at(offset);
    DWORD n = 0;
    assert_true(WriteFile(handle, data, (DWORD)size, &n, &where));
    assert_int_equal(n, size);
    CloseHandle(handle);
}

int64_t fixture_file_size(const FixtureFile *file)
{
    HANDLE handle = open_it(file, GENERIC_READ);
    LARGE_INTEGER size;
    assert_true(GetFileSizeEx(handle, &size));
    CloseHandle(handle);
    return size.QuadPart;
}

int64_t fixture_file_allocated(const FixtureFile *file)
{
    (void)file;
    return -1;
}

AioHandle fixture_file_handle(const FixtureFile *file, bool writable)
{
    return (AioHandle)open_it(file, writable ? GENERIC_READ | GENERIC_WRITE : GENERIC_READ);
}

bool fixture_is_open(AioHandle handle)
{
    DWORD flags;
    return GetHandleInformation((HANDLE)handle, &flags);
}

bool fixture_limit_file_size(int64_t size)
{
    (void)size;
    return false;
}

const char *fixture_directory(void)
{
    return "C:\\";
}

const char *fixture_full_device(void)
{
    return NULL;
}

const char *fixture_null_device(void)
{
    return NULL;
}

const char *fixture_block_device(void)
{
    return NULL;
}
