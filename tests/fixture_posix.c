/*
 * The fixture on POSIX systems.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "tests/fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/fixture_os.h"

void fixture_os_init(void)
{
    signal(SIGPIPE, SIG_IGN);
}

FixturePair fixture_pair(void)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fcntl(fds[i], F_SETFL, O_NONBLOCK), 0);
        assert_int_equal(fcntl(fds[i], F_SETFD, FD_CLOEXEC), 0);
    }
    return (FixturePair){.a = fds[0], .b = fds[1]};
}

void fixture_pair_close(FixturePair *pair)
{
    fixture_close(pair->a);
    fixture_close(pair->b);
    pair->a = pair->b = AIO_HANDLE_NONE;
}

void fixture_close(AioHandle handle)
{
    if (handle != AIO_HANDLE_NONE) {
        close((int)handle);
    }
}

AioHandleKind fixture_pair_kind(void)
{
    return AIO_HANDLE_FD;
}

int fixture_read(AioHandle handle, void *buffer, size_t size)
{
    return (int)read((int)handle, buffer, size);
}

int fixture_write(AioHandle handle, const void *buffer, size_t size)
{
    return (int)write((int)handle, buffer, size);
}

size_t fixture_fill(AioHandle handle)
{
    static const char zeroes[4096];
    size_t total = 0;
    for (;;) {
        ssize_t n = write((int)handle, zeroes, sizeof(zeroes));
        if (n < 0) {
            return total;
        }
        total += (size_t)n;
    }
}

void fixture_shutdown_write(AioHandle handle)
{
    shutdown((int)handle, SHUT_WR);
}

bool fixture_wait_readable(const AioHandle *handles, size_t count, int timeout_ms)
{
    struct pollfd fds[8];
    assert_true(count <= sizeof(fds) / sizeof(fds[0]));
    for (size_t i = 0; i < count; i++) {
        fds[i] = (struct pollfd){.fd = (int)handles[i], .events = POLLIN};
    }
    int n;
    do {
        n = poll(fds, (nfds_t)count, timeout_ms);
    } while (n < 0 && errno == EINTR);
    return n > 0;
}

bool fixture_handle_is_private(AioHandle handle)
{
    int descriptor = fcntl((int)handle, F_GETFD), status = fcntl((int)handle, F_GETFL);
    return descriptor >= 0 && (descriptor & FD_CLOEXEC) && status >= 0 && (status & O_NONBLOCK);
}

struct FixtureThread {
    pthread_t thread;
    void (*run)(void *);
    void *arg;
};

static void *thread_main(void *opaque)
{
    FixtureThread *thread = opaque;
    thread->run(thread->arg);
    return NULL;
}

FixtureThread *fixture_thread_start(void (*run)(void *), void *arg)
{
    FixtureThread *thread = malloc(sizeof(*thread));
    assert_non_null(thread);
    thread->run = run;
    thread->arg = arg;
    assert_int_equal(pthread_create(&thread->thread, NULL, thread_main, thread), 0);
    return thread;
}

void fixture_thread_join(FixtureThread *thread)
{
    pthread_join(thread->thread, NULL);
    free(thread);
}

void fixture_sleep_ms(unsigned ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) < 0 && errno == EINTR) {
        continue;
    }
}

int fixture_turns(int count)
{
    return count;
}

void fixture_yield(void)
{
    sched_yield();
}

bool fixture_pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (core >= 0) {
        CPU_SET((size_t)core, &set);
    } else {
        for (size_t i = 0; i < CPU_SETSIZE; i++) {
            CPU_SET(i, &set);
        }
    }
    return sched_setaffinity(0, sizeof(set), &set) == 0;
}

int fixture_cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 0;
}

bool fixture_limit_handles(unsigned count)
{
    static struct rlimit before;
    struct rlimit limit;
    if (count == 0) {
        return before.rlim_max > 0 && setrlimit(RLIMIT_NOFILE, &before) == 0;
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || count > limit.rlim_max) {
        return false;
    }
    before = limit;
    limit.rlim_cur = count;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

unsigned fixture_open_handles(void)
{
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    unsigned count = 0;
    while (readdir(dir)) {
        count++;
    }
    closedir(dir);
    return count - 3; /* ".", ".." and the directory itself */
}

bool fixture_handles_left(unsigned count)
{
    unsigned now = fixture_open_handles();
    if (now == count) {
        return true;
    }
    print_message("%u handles are open, not %u\n", now, count);
    return false;
}

size_t fixture_memory_in_use(void)
{
#ifdef __GLIBC__
    return mallinfo2().uordblks;
#else
    return 0;
#endif
}

void fixture_setenv(const char *name, const char *value)
{
    assert_int_equal(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

/* The thread sanitizer maps memory of its own for each coroutine, and keeps it. */
#if defined(__SANITIZE_THREAD__)
#define MAPS_ARE_OURS 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MAPS_ARE_OURS 0
#endif
#endif
#ifndef MAPS_ARE_OURS
#define MAPS_ARE_OURS 1
#endif

unsigned fixture_maps(void)
{
    if (!MAPS_ARE_OURS) {
        return 0;
    }
    FILE *file = fopen("/proc/self/maps", "r");
    unsigned lines = 0;
    int c;
    while (file && (c = getc(file)) != EOF) {
        lines += c == '\n';
    }
    if (file) {
        fclose(file);
    }
    return lines;
}

#define NOBODY 65534

bool fixture_has_borrowed_rights(void)
{
    return getuid() != geteuid();
}

/* A copy of this program that belongs to root and has the set-user-id bit. */
static bool copy_set_user_id(const char *path)
{
    char buffer[65536];
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    bool copied = from >= 0 && to >= 0;
    for (ssize_t n = 1; copied && n > 0;) {
        n = read(from, buffer, sizeof(buffer));
        copied = n >= 0 && write(to, buffer, (size_t)n) == n;
    }
    copied = copied && fchown(to, 0, NOBODY) == 0 && fchmod(to, 04710) == 0; /* for few eyes */
    close(from);
    close(to);
    return copied;
}

bool fixture_passes_with_borrowed_rights(const char *test)
{
    char path[64];
    if (geteuid() != 0) {
        fixture_skip("only root can make a program set-user-id root");
    }
    snprintf(path, sizeof(path), "/tmp/aioctx-test-%ld", (long)getpid());
    bool copied = copy_set_user_id(path);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        /* Nobody may trace such a process, LeakSanitizer neither. */
        setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
        if (copied && setgroups(0, NULL) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0) {
            execl(path, path, "--poller", fixture_poller(), test, (char *)NULL);
        }
        _exit(77);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    unlink(path);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        fixture_skip("no set-user-id programs here");
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t fixture_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t fixture_cpu_ns(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static void (*signal_handler)(void *);
static void *signal_arg;

static void on_signal(int number)
{
    (void)number;
    int saved = errno;
    if (signal_handler) {
        signal_handler(signal_arg);
    }
    errno = saved;
}

bool fixture_signal_start(void (*handler)(void *), void *arg, unsigned interval_us)
{
    signal_handler = handler;
    signal_arg = arg;
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    struct itimerval timer = {.it_interval = {.tv_usec = (suseconds_t)interval_us},
                              .it_value = {.tv_usec = (suseconds_t)interval_us}};
    return setitimer(ITIMER_REAL, &timer, NULL) == 0;
}

void fixture_signal_stop(void)
{
    struct itimerval off = {.it_value = {.tv_sec = 0}};
    setitimer(ITIMER_REAL, &off, NULL);
    signal(SIGALRM, SIG_IGN);
}

/* The child writes the fatal message into a pipe; the parent looks for the text in it. */
static int death_pipe = -1;

static void on_fatal(const char *message, void *opaque)
{
    (void)opaque;
    ssize_t ignored = write(death_pipe, message, strlen(message));
    (void)ignored;
    _exit(66);
}

/* Run `body` in a child; returns its status, and what it said before a fatal error. */
static int run_in_child(void (*body)(void *), void *arg, char *message, size_t size)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(fds[0]);
        death_pipe = fds[1];
        aio_set_fatal_hook(on_fatal, NULL);
        body(arg);
        _exit(0);
    }
    close(fds[1]);
    size_t used = 0;
    ssize_t n;
    while (used < size - 1 && (n = read(fds[0], message + used, size - 1 - used)) > 0) {
        used += (size_t)n;
    }
    message[used] = '\0';
    close(fds[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

bool fixture_dies(void (*body)(void *), void *arg, const char *text)
{
    char message[1024];
    int status = run_in_child(body, arg, message, sizeof(message));
    bool died = WIFEXITED(status) && WEXITSTATUS(status) == 66 && strstr(message, text);
    if (!died) {
        print_error("child ended with status %#x and said \"%s\", not \"%s\"\n", (unsigned)status,
                    message, text);
    }
    return died;
}

/* A sanitizer that handles SIGABRT, and CMocka, are out of the way. */
typedef struct Abort {
    void (*body)(void *);
    void *arg;
} Abort;

static void run_with_default_abort(void *opaque)
{
    const Abort *abort_test = opaque;
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGABRT, SIG_DFL);
    abort_test->body(abort_test->arg);
}

bool fixture_aborts(void (*body)(void *), void *arg)
{
    char message[1024];
    Abort abort_test = {.body = body, .arg = arg};
    int status = run_in_child(run_with_default_abort, &abort_test, message, sizeof(message));
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}
