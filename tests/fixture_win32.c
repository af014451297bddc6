/*
 * The fixture on Windows. There is no fork: a test that expects a process to die runs the whole of itself in another one,
 * up to the same expectation.
 *
 * SPDX-License-Identifier: MIT
 */
#define WIN32_LEAN_AND_MEAN
#define _WIN32_WINNT 0x0602
#include <winsock2.h>

#include <windows.h>
#include <ws2tcpip.h>

#include "tests/fixture.h"

#include <process.h>
#include <signal.h>

#include "tests/fixture_os.h"

#define DIED_AS_TOLD 66
#define DIED_BY_ABORT 3

void fixture_os_init(void)
{
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data);
    SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
}

/* Connect `pair` through a listening socket that nobody else gets to. */
static bool connect_pair(SOCKET listener, SOCKET pair[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int size = sizeof(address);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0 ||
        connect(pair[0], (struct sockaddr *)&address, size) != 0) {
        return false;
    }
    pair[1] = accept(listener, NULL, NULL);
    return pair[1] != INVALID_SOCKET;
}

FixturePair fixture_pair(void)
{
    SOCKET pair[2] = {INVALID_SOCKET, INVALID_SOCKET};
    u_long on = 1;
    SOCKET listener = socket(AF_INET, SOCK_STREAM, 0);
    pair[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(connect_pair(listener, pair));
    closesocket(listener);
    for (int i = 0; i < 2; i++) {
        BOOL no_delay = TRUE;
        assert_int_equal(ioctlsocket(pair[i], (long)FIONBIO, &on), 0);
        setsockopt(pair[i], IPPROTO_TCP, TCP_NODELAY, (char *)&no_delay, sizeof(no_delay));
        SetHandleInformation((HANDLE)pair[i], HANDLE_FLAG_INHERIT, 0);
    }
    return (FixturePair){.a = (AioHandle)pair[0], .b = (AioHandle)pair[1]};
}

void fixture_pair_close(FixturePair *pair)
{
    fixture_close(pair->a);
    fixture_close(pair->b);
    pair->a = pair->b = AIO_HANDLE_NONE;
}

static bool is_socket(AioHandle handle)
{
    int type, size = sizeof(type);
    return getsockopt((SOCKET)handle, SOL_SOCKET, SO_TYPE, (char *)&type, &size) == 0;
}

void fixture_close(AioHandle handle)
{
    if (is_socket(handle)) {
        closesocket((SOCKET)handle);
    } else if (handle != AIO_HANDLE_NONE) {
        CloseHandle((HANDLE)handle);
    }
}

AioHandleKind fixture_pair_kind(void)
{
    return AIO_HANDLE_SOCKET;
}

int fixture_read(AioHandle handle, void *buffer, size_t size)
{
    return recv((SOCKET)handle, buffer, (int)size, 0);
}

int fixture_write(AioHandle handle, const void *buffer, size_t size)
{
    return send((SOCKET)handle, buffer, (int)size, 0);
}

size_t fixture_fill(AioHandle handle)
{
    static const char zeroes[4096];
    size_t total = 0;
    for (;;) {
        int n = send((SOCKET)handle, zeroes, sizeof(zeroes), 0);
        if (n < 0) {
            return total;
        }
        total += (size_t)n;
    }
}

void fixture_shutdown_write(AioHandle handle)
{
    shutdown((SOCKET)handle, SD_SEND);
}

/* Whether one of `count` handles is readable, after a sleep of no more than a millisecond. */
static bool wait_briefly(const AioHandle *handles, size_t count, DWORD ms)
{
    HANDLE objects[8];
    DWORD object_count = 0;
    for (size_t i = 0; i < count; i++) {
        WSAPOLLFD fd = {.fd = (SOCKET)handles[i], .events = POLLRDNORM};
        if (!is_socket(handles[i])) {
            objects[object_count++] = (HANDLE)handles[i];
        } else if (WSAPoll(&fd, 1, 0) > 0) {
            return true;
        }
    }
    if (object_count == 0) {
        Sleep(ms);
        return false;
    }
    return WaitForMultipleObjects(object_count, objects, FALSE, ms) < WAIT_OBJECT_0 + object_count;
}

bool fixture_wait_readable(const AioHandle *handles, size_t count, int timeout_ms)
{
    assert_true(count <= 8);
    int64_t deadline = fixture_now_ns() + (int64_t)timeout_ms * 1000000;
    do {
        if (wait_briefly(handles, count, timeout_ms ? 1 : 0)) {
            return true;
        }
    } while (timeout_ms < 0 || fixture_now_ns() < deadline);
    return false;
}

bool fixture_handle_is_private(AioHandle handle)
{
    DWORD flags;
    return GetHandleInformation((HANDLE)handle, &flags) && !(flags & HANDLE_FLAG_INHERIT);
}

struct FixtureThread {
    HANDLE thread;
    void (*run)(void *);
    void *arg;
};

static unsigned __stdcall thread_main(void *opaque)
{
    FixtureThread *thread = opaque;
    thread->run(thread->arg);
    return 0;
}

FixtureThread *fixture_thread_start(void (*run)(void *), void *arg)
{
    FixtureThread *thread = malloc(sizeof(*thread));
    assert_non_null(thread);
    thread->run = run;
    thread->arg = arg;
    thread->thread = (HANDLE)_beginthreadex(NULL, 0, thread_main, thread, 0, NULL);
    assert_non_null(thread->thread);
    return thread;
}

void fixture_thread_join(FixtureThread *thread)
{
    WaitForSingleObject(thread->thread, INFINITE);
    CloseHandle(thread->thread);
    free(thread);
}

void fixture_sleep_ms(unsigned ms)
{
    Sleep(ms);
}

int fixture_turns(int count)
{
    return count > 50 ? count / 50 : 1;
}

void fixture_yield(void)
{
    SwitchToThread();
}

bool fixture_pin(int core)
{
    DWORD_PTR mine, all;
    if (!GetProcessAffinityMask(GetCurrentProcess(), &mine, &all)) {
        return false;
    }
    return SetProcessAffinityMask(GetCurrentProcess(), core < 0 ? all : (DWORD_PTR)1 << core);
}

int fixture_cores(void)
{
    DWORD_PTR mine, all;
    int count = 0;
    if (GetProcessAffinityMask(GetCurrentProcess(), &mine, &all)) {
        for (; mine; mine &= mine - 1) {
            count++;
        }
    }
    return count;
}

bool fixture_limit_handles(unsigned count)
{
    (void)count;
    return false;
}

/* The system makes some handles when it is first asked for something, and keeps them. */
static void warm_up(void)
{
    static bool warm;
    if (!warm) {
        warm = true;
        FixturePair pair = fixture_pair();
        fixture_wait_readable(&pair.a, 1, 0);
        fixture_pair_close(&pair);
        fixture_context_free(fixture_home());
        AioContext *other = aio_context_new(NULL); /* on another poller, perhaps */
        if (other) {
            fixture_context_free(other);
        }
    }
}

/* One by one, up to a long stretch where there are none: GetProcessHandleCount() says 0 under Wine, always. */
unsigned fixture_open_handles(void)
{
    enum { STRETCH = 2000 };
    unsigned count = 0, gap = 0;
    warm_up();
    for (uintptr_t value = 4; gap < STRETCH; value += 4) {
        DWORD flags;
        bool open = GetHandleInformation((HANDLE)value, &flags);
        count += open;
        gap = open ? 0 : gap + 1;
    }
    return count;
}

bool fixture_handles_left(unsigned count)
{
    unsigned now = fixture_open_handles();
    if (now <= count) {
        return true;
    }
    print_message("%u handles are open, not %u\n", now, count);
    return false;
}

size_t fixture_memory_in_use(void)
{
    return 0;
}

void fixture_setenv(const char *name, const char *value)
{
    assert_int_equal(_putenv_s(name, value ? value : ""), 0);
}

unsigned fixture_maps(void)
{
    return 0;
}

bool fixture_has_borrowed_rights(void)
{
    return false;
}

bool fixture_passes_with_borrowed_rights(const char *test)
{
    (void)test;
    fixture_skip("Windows has no programs that borrow rights");
    return false;
}

int64_t fixture_now_ns(void)
{
    LARGE_INTEGER now, frequency;
    QueryPerformanceCounter(&now);
    QueryPerformanceFrequency(&frequency);
    return now.QuadPart / frequency.QuadPart * 1000000000 +
           now.QuadPart % frequency.QuadPart * 1000000000 / frequency.QuadPart;
}

static int64_t ns_of(FILETIME time)
{
    return (int64_t)((uint64_t)time.dwHighDateTime << 32 | time.dwLowDateTime) * 100;
}

int64_t fixture_cpu_ns(void)
{
    FILETIME began, ended, kernel, user;
    GetProcessTimes(GetCurrentProcess(), &began, &ended, &kernel, &user);
    return ns_of(kernel) + ns_of(user);
}

bool fixture_signal_start(void (*handler)(void *), void *arg, unsigned interval_us)
{
    (void)handler, (void)arg, (void)interval_us;
    return false;
}

void fixture_signal_stop(void)
{
}

/*
 * Deaths. The process that is to die is this program again, with the same test and the number of the
 * expectation in its environment; what it says goes through a pipe whose handle stands there, too.
 */
#define NUMBER "AIOCTX_TEST_DEATH"
#define PIPE "AIOCTX_TEST_DEATH_PIPE"

/* With the same status whatever the C library makes of an abort: one ends as a crash. */
static void end_as_aborted(int signal_number)
{
    (void)signal_number;
    TerminateProcess(GetCurrentProcess(), DIED_BY_ABORT);
}

static unsigned expectations; /* met so far */
static HANDLE death_pipe;

static void on_fatal(const char *message, void *opaque)
{
    (void)opaque;
    DWORD written;
    WriteFile(death_pipe, message, (DWORD)strlen(message), &written, NULL);
    ExitProcess(DIED_AS_TOLD);
}

/* In the process that is to die: run `body` where this is the expectation meant. */
static void die_if_meant(void (*body)(void *), void *arg)
{
    const char *number = getenv(NUMBER);
    const char *pipe = getenv(PIPE);
    if (!number || !pipe || strtoul(number, NULL, 10) != expectations) {
        return;
    }
    death_pipe = (HANDLE)(uintptr_t)strtoull(pipe, NULL, 10);
    aio_set_fatal_hook(on_fatal, NULL);
    signal(SIGABRT, end_as_aborted);
    body(arg);
    ExitProcess(0);
}

static HANDLE spawn(HANDLE pipe)
{
    char program[MAX_PATH], line[2 * MAX_PATH], value[32];
    GetModuleFileNameA(NULL, program, sizeof(program));
    snprintf(line, sizeof(line), "\"%s\" %s %s %s", program, fixture_poller() ? "--poller" : "",
             fixture_poller() ? fixture_poller() : "", fixture_test());
    snprintf(value, sizeof(value), "%u", expectations);
    SetEnvironmentVariableA(NUMBER, value);
    snprintf(value, sizeof(value), "%llu", (unsigned long long)(uintptr_t)pipe);
    SetEnvironmentVariableA(PIPE, value);
    HANDLE nowhere = CreateFileA(
        "NUL", GENERIC_WRITE, FILE_SHARE_WRITE,
        &(SECURITY_ATTRIBUTES){.nLength = sizeof(SECURITY_ATTRIBUTES), .bInheritHandle = TRUE},
        OPEN_EXISTING, 0, NULL);
    STARTUPINFOA start = {.cb = sizeof(start),
                          .dwFlags = STARTF_USESTDHANDLES,
                          .hStdInput = nowhere,
                          .hStdOutput = nowhere,
                          .hStdError = nowhere};
    PROCESS_INFORMATION process = {.hProcess = NULL};
    for (int i = 0; i < 5; i++) {
        if (CreateProcessA(NULL, line, NULL, NULL, TRUE, 0, NULL, NULL, &start, &process)) {
            break;
        }
        /* Wine on a busy machine, now and then. */
        print_message("no process: error %lu\n", GetLastError());
        fixture_sleep_ms(20);
    }
    SetEnvironmentVariableA(NUMBER, NULL);
    SetEnvironmentVariableA(PIPE, NULL);
    CloseHandle(nowhere);
    CloseHandle(process.hThread);
    return process.hProcess;
}

/* Returns the exit status of the process that was to die, and what it said. */
static DWORD run_in_child(void (*body)(void *), void *arg, char *message, size_t size)
{
    HANDLE from, to;
    SECURITY_ATTRIBUTES inherited = {.nLength = sizeof(inherited), .bInheritHandle = TRUE};
    expectations++;
    die_if_meant(body, arg);
    if (getenv(NUMBER)) { /* to die further on */
        return DIED_AS_TOLD;
    }
    if (!fixture_test()) {
        fixture_skip("which test this is, only ctest tells");
    }
    assert_true(CreatePipe(&from, &to, &inherited, 0));
    SetHandleInformation(from, HANDLE_FLAG_INHERIT, 0);
    HANDLE process = spawn(to);
    CloseHandle(to);
    assert_non_null(process);
    size_t used = 0;
    DWORD n;
    while (used < size - 1 && ReadFile(from, message + used, (DWORD)(size - 1 - used), &n, NULL) &&
           n > 0) {
        used += n;
    }
    message[used] = '\0';
    CloseHandle(from);
    DWORD status = 0;
    WaitForSingleObject(process, INFINITE);
    GetExitCodeProcess(process, &status);
    CloseHandle(process);
    return status;
}

static bool dying_elsewhere(void)
{
    return getenv(NUMBER);
}

bool fixture_dies(void (*body)(void *), void *arg, const char *text)
{
    char message[1024];
    DWORD status = run_in_child(body, arg, message, sizeof(message));
    bool died = dying_elsewhere() || (status == DIED_AS_TOLD && strstr(message, text));
    if (!died) {
        print_error("child ended with status %#lx and said \"%s\", not \"%s\"\n", status, message,
                    text);
    }
    return died;
}

bool fixture_aborts(void (*body)(void *), void *arg)
{
    char message[1024];
    DWORD status = run_in_child(body, arg, message, sizeof(message));
    return dying_elsewhere() || status == DIED_BY_ABORT;
}
