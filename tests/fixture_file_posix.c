/*
 * Files for tests, on POSIX systems.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include "tests/fixture_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

FixtureFile fixture_file(int64_t size)
{
    FixtureFile file;
    const char *directory = getenv("TMPDIR");
    snprintf(file.path, sizeof(file.path), "%s/aioctx-test-XXXXXX",
             directory && *directory ? directory : "/tmp");
    int fd = mkstemp(file.path);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, size), 0);
    close(fd);
    return file;
}

void fixture_file_remove(FixtureFile *file)
{
    unlink(file->path);
}

int64_t fixture_file_load(const FixtureFile *file, void *buffer, size_t size, int64_t offset)
{
    int fd = open(file->path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    size_t used = 0;
    ssize_t n;
    while (used < size &&
           (n = pread(fd, (char *)buffer + used, size - used, offset + (int64_t)used)) > 0) {
        used += (size_t)n;
    }
    close(fd);
    return (int64_t)used;
}

void fixture_file_store(const FixtureFile *file, const void *data, size_t size, int64_t offset)
{
    int fd = open(file->path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, size, offset), size);
    close(fd);
}

static struct stat facts_of(const FixtureFile *file)
{
    struct stat facts;
    assert_int_equal(stat(file->path, &facts), 0);
    return facts;
}

int64_t fixture_file_size(const FixtureFile *file)
{
    return facts_of(file).st_size;
}

int64_t fixture_file_allocated(const FixtureFile *file)
{
    return (int64_t)facts_of(file).st_blocks * 512;
}

AioHandle fixture_file_handle(const FixtureFile *file, bool writable)
{
    int fd = open(file->path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

bool fixture_is_open(AioHandle handle)
{
    return fcntl((int)handle, F_GETFD) >= 0;
}

bool fixture_limit_file_size(int64_t size)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) < 0) {
        return false;
    }
    signal(SIGXFSZ, SIG_IGN);
    limit.rlim_cur = size < 0 ? limit.rlim_max : (rlim_t)size;
    return setrlimit(RLIMIT_FSIZE, &limit) == 0;
}

const char *fixture_directory(void)
{
    return "/";
}

const char *fixture_full_device(void)
{
    return access("/dev/full", W_OK) == 0 ? "/dev/full" : NULL;
}

const char *fixture_null_device(void)
{
    return access("/dev/null", W_OK) == 0 ? "/dev/null" : NULL;
}

const char *fixture_block_device(void)
{
    static const char *const candidates[] = {"/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/loop0"};
    for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++) {
        int fd = open(candidates[i], O_RDONLY | O_CLOEXEC);
        off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
        if (fd >= 0) {
            close(fd);
        }
        if (size > 0) {
            return candidates[i];
        }
    }
    return NULL;
}
