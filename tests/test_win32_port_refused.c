/*
 * The poller of the completion port where the system refuses it something, and where it ends with all that it has. The
 * linker's --wrap puts what is below in the place of the calls of the library.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/win32_help.h"

#include <errno.h>
#include <process.h>

#include <winternl.h>

#include "core/poller.h"

#define ACCESS_DENIED ((NTSTATUS)0xc0000022)

typedef enum Call {
    CREATE_FILE,
    CONTROL_FILE,
    CREATE_PORT,
    CREATE_EVENT,
    START_THREAD,
    TAKE,
    CALLS,
} Call;

static int countdown[CALLS]; /* which call from now on is refused; 0: none */

static void refuse(Call call, int nth)
{
    countdown[call] = nth;
}

static bool is_refused(Call call)
{
    return countdown[call] > 0 && --countdown[call] == 0;
}

NTSTATUS NTAPI __real_NtCreateFile(HANDLE *file, ACCESS_MASK access, OBJECT_ATTRIBUTES *attributes,
                                   IO_STATUS_BLOCK *status, LARGE_INTEGER *size, ULONG flags,
                                   ULONG share, ULONG how, ULONG options, void *extra,
                                   ULONG extra_size);
NTSTATUS NTAPI __wrap_NtCreateFile(HANDLE *file, ACCESS_MASK access, OBJECT_ATTRIBUTES *attributes,
                                   IO_STATUS_BLOCK *status, LARGE_INTEGER *size, ULONG flags,
                                   ULONG share, ULONG how, ULONG options, void *extra,
                                   ULONG extra_size);

NTSTATUS NTAPI __wrap_NtCreateFile(HANDLE *file, ACCESS_MASK access, OBJECT_ATTRIBUTES *attributes,
                                   IO_STATUS_BLOCK *status, LARGE_INTEGER *size, ULONG flags,
                                   ULONG share, ULONG how, ULONG options, void *extra,
                                   ULONG extra_size)
{
    return is_refused(CREATE_FILE)
               ? ACCESS_DENIED
               : __real_NtCreateFile(file, access, attributes, status, size, flags, share, how,
                                     options, extra, extra_size);
}

NTSTATUS NTAPI __real_NtDeviceIoControlFile(HANDLE file, HANDLE event, PIO_APC_ROUTINE apc,
                                            void *context, IO_STATUS_BLOCK *status, ULONG code,
                                            void *in, ULONG in_size, void *out, ULONG out_size);
NTSTATUS NTAPI __wrap_NtDeviceIoControlFile(HANDLE file, HANDLE event, PIO_APC_ROUTINE apc,
                                            void *context, IO_STATUS_BLOCK *status, ULONG code,
                                            void *in, ULONG in_size, void *out, ULONG out_size);

NTSTATUS NTAPI __wrap_NtDeviceIoControlFile(HANDLE file, HANDLE event, PIO_APC_ROUTINE apc,
                                            void *context, IO_STATUS_BLOCK *status, ULONG code,
                                            void *in, ULONG in_size, void *out, ULONG out_size)
{
    return is_refused(CONTROL_FILE)
               ? ACCESS_DENIED
               : __real_NtDeviceIoControlFile(file, event, apc, context, status, code, in, in_size,
                                              out, out_size);
}

typedef HANDLE WINAPI CreatePort(HANDLE file, HANDLE port, ULONG_PTR key, DWORD threads);
typedef HANDLE WINAPI CreateEventCall(SECURITY_ATTRIBUTES *security, BOOL by_hand, BOOL set,
                                      const wchar_t *name);
typedef uintptr_t __cdecl StartThread(void *security, unsigned stack, _beginthreadex_proc_type run,
                                      void *arg, unsigned flags, unsigned *id);
typedef BOOL WINAPI Take(HANDLE port, OVERLAPPED_ENTRY *entries, ULONG room, ULONG *count,
                         DWORD timeout_ms, BOOL alertable);

extern CreatePort *__real___imp_CreateIoCompletionPort, *__wrap___imp_CreateIoCompletionPort;
extern CreateEventCall *__real___imp_CreateEventW, *__wrap___imp_CreateEventW;
extern StartThread *__real___imp__beginthreadex, *__wrap___imp__beginthreadex;
extern Take *__real___imp_GetQueuedCompletionStatusEx, *__wrap___imp_GetQueuedCompletionStatusEx;

static HANDLE WINAPI create_port(HANDLE file, HANDLE port, ULONG_PTR key, DWORD threads)
{
    SetLastError(ERROR_ACCESS_DENIED);
    return is_refused(CREATE_PORT) ? NULL
                                   : __real___imp_CreateIoCompletionPort(file, port, key, threads);
}

static HANDLE WINAPI create_event(SECURITY_ATTRIBUTES *security, BOOL by_hand, BOOL set,
                                  const wchar_t *name)
{
    SetLastError(ERROR_NOT_ENOUGH_MEMORY);
    return is_refused(CREATE_EVENT) ? NULL
                                    : __real___imp_CreateEventW(security, by_hand, set, name);
}

static uintptr_t __cdecl start_thread(void *security, unsigned stack, _beginthreadex_proc_type run,
                                      void *arg, unsigned flags, unsigned *id)
{
    return is_refused(START_THREAD)
               ? 0
               : __real___imp__beginthreadex(security, stack, run, arg, flags, id);
}

static BOOL WINAPI take(HANDLE port, OVERLAPPED_ENTRY *entries, ULONG room, ULONG *count,
                        DWORD timeout_ms, BOOL alertable)
{
    SetLastError(ERROR_NOT_ENOUGH_MEMORY);
    return is_refused(TAKE) ? FALSE
                            : __real___imp_GetQueuedCompletionStatusEx(port, entries, room, count,
                                                                       timeout_ms, alertable);
}

CreatePort *__wrap___imp_CreateIoCompletionPort = create_port;
CreateEventCall *__wrap___imp_CreateEventW = create_event;
StartThread *__wrap___imp__beginthreadex = start_thread;
Take *__wrap___imp_GetQueuedCompletionStatusEx = take;

static AioContext *on_port(void)
{
    AioContextOptions options = {.size = sizeof(options), .poller = "port"};
    AioContext *ctx = aio_context_new_with_options(&options, NULL);
    assert_non_null(ctx);
    aio_context_bind(ctx);
    return ctx;
}

static void context_whose_port_is_refused_waits_by_handles_and_says_why(void **state)
{
    (void)state;
    const struct {
        Call call;
        int nth;
    } refusals[] = {{CREATE_PORT, 1}, {CREATE_PORT, 2}, {CREATE_FILE, 1}};
    unsigned before = 0;
    fixture_setenv("AIOCTX_POLLER", NULL);
    for (size_t i = 0; i < 30; i++) {
        before = i == 6 ? fixture_open_handles() : before;
        refuse(refusals[i % 3].call, refusals[i % 3].nth);
        AioContext *ctx = aio_context_new(NULL);
        assert_non_null(ctx);
        assert_int_equal(countdown[refusals[i % 3].call], 0);
        aio_context_bind(ctx);
        AioContextInfo info = {.size = sizeof(info)};
        aio_context_info(ctx, &info);
        assert_string_equal(info.poller, "handle");
        assert_non_null(strstr(info.pollers_refused, "port: Permission denied"));
        Probe probe;
        probe_open_reader(&probe, ctx);
        probe_ping(&probe);
        assert_true(drive(ctx, true));
        assert_int_equal(probe.reads, 1);
        probe_close(&probe);
        fixture_context_free(ctx);
    }
    assert_true(fixture_handles_left(before + 5));
}

static void handle_for_which_no_thread_is_to_be_had_is_told_and_can_be_set_again(void **state)
{
    (void)state;
    const Call calls[] = {CREATE_EVENT, START_THREAD};
    const int errors[] = {-ENOMEM, -EAGAIN};
    for (int i = 0; i < 2; i++) {
        AioContext *ctx = on_port();
        Watched w = {.calls = 0};
        HANDLE event = auto_event(false);
        refuse(calls[i], 1);
        watch(&w, ctx, event);
        drive(ctx, false);
        assert_int_equal(countdown[calls[i]], 0);
        assert_int_equal(w.errors, 1);
        assert_int_equal(w.error, errors[i]);
        probe_expect_error(ctx, -errors[i], "can't be watched");
        watch(&w, ctx, event);
        SetEvent(event);
        assert_true(drive(ctx, true));
        assert_int_equal(w.calls, 1);
        close_watched(&w);
        fixture_context_free(ctx);
    }
}

static void socket_whose_request_is_refused_is_told_the_reason(void **state)
{
    (void)state;
    AioContext *ctx = on_port();
    Probe probe = {.calls = 0};
    probe_open(&probe, ctx);
    probe_set(&probe, PROBE_READ | PROBE_ERROR, 0);
    refuse(CONTROL_FILE, 1);
    drive(ctx, false);
    assert_int_equal(probe.errors, 1);
    assert_int_equal(probe.error, -EACCES);
    probe_expect_error(ctx, EACCES, "can't be watched");
    probe_close(&probe);
    fixture_context_free(ctx);
}

static void notify_soon(void *ctx)
{
    fixture_sleep_ms(30);
    aio_notify(ctx);
}

/* One packet says that there is something to look at, the other that a request was cancelled and is to be made again. */
static void port_that_fails_behind_some_packets_is_told_by_its_own_error(void **state)
{
    (void)state;
    AioContext *ctx = on_port();
    Probe probe = {.calls = 0};
    Watched w = {.calls = 0};
    probe_open(&probe, ctx);
    fixture_fill(probe.pair.a);
    probe_set(&probe, PROBE_READ, 0);
    watch(&w, ctx, auto_event(false));
    FixtureThread *thread = fixture_thread_start(notify_soon, ctx);
    drive(ctx, true);
    fixture_thread_join(thread);
    SetEvent(w.handle);
    fixture_sleep_ms(30);
    probe_set(&probe, PROBE_READ | PROBE_WRITE, 0);
    refuse(TAKE, 2);
    drive(ctx, false);
    assert_int_equal(countdown[TAKE], 0);
    probe_expect_error(ctx, ENOMEM, "failed to wait");
    assert_int_equal(w.calls, 1);
    probe_ping(&probe);
    assert_true(drive(ctx, true));
    assert_int_equal(probe.reads, 1);
    assert_null(aio_context_take_error(ctx));
    probe_close(&probe);
    close_watched(&w);
    fixture_context_free(ctx);
}

static AioPoller *port_poller(void)
{
    AioPoller *poller = NULL;
    for (const AioPollerOps *const *ops = aio__pollers; *ops; ops++) {
        if (strcmp((*ops)->name, "port") == 0) {
            assert_int_equal((*ops)->open(&poller), 0);
        }
    }
    assert_non_null(poller);
    return poller;
}

/* A context does not do that to it, as it ends without handlers; but a poller has to be ready for it. */
static void poller_that_ends_with_sockets_in_every_state_leaves_nothing(void **state)
{
    (void)state;
    enum { N = 5, BOTH = AIO_WATCH_READ | AIO_WATCH_WRITE };
    const struct linger linger = {.l_onoff = 1};
    unsigned before = 0;
    for (int i = 0; i < 30; i++) {
        before = i == 5 ? fixture_open_handles() : before;
        AioPoller *poller = port_poller();
        FixturePair pairs[N];
        AioWatch watches[N];
        AioList ready;
        aio__list_init(&ready);
        for (int j = 0; j < N; j++) {
            pairs[j] = fixture_pair();
            watches[j] = (AioWatch){.handle = pairs[j].a, .kind = AIO_HANDLE_SOCKET};
            if (j > 0) {
                poller->ops->update(poller, &watches[j], AIO_WATCH_READ);
            }
        }
        setsockopt((SOCKET)pairs[1].b, SOL_SOCKET, SO_LINGER, (const char *)&linger,
                   sizeof(linger));
        fixture_close(pairs[1].b); /* reset */
        pairs[1].b = AIO_HANDLE_NONE;
        fixture_sleep_ms(5);
        poller->ops->wait(poller, 0, &ready); /* asked */
        assert_true(aio__node_linked(&watches[1].ready_node));
        poller->ops->update(poller, &watches[0], AIO_WATCH_READ); /* unasked */
        poller->ops->update(poller, &watches[2], BOTH);           /* cancelled, and wanted */
        poller->ops->update(poller, &watches[3], 0);              /* cancelled, and removed */
        assert_int_equal(watches[3].state, AIO_WATCH_CANCELLING);
        poller->ops->close(poller);
        for (int j = 0; j < N; j++) {
            assert_int_equal(watches[j].state, AIO_WATCH_IDLE);
            fixture_pair_close(&pairs[j]);
        }
    }
    assert_true(fixture_handles_left(before + 5));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(context_whose_port_is_refused_waits_by_handles_and_says_why),
    cmocka_unit_test(handle_for_which_no_thread_is_to_be_had_is_told_and_can_be_set_again),
    cmocka_unit_test(socket_whose_request_is_refused_is_told_the_reason),
    cmocka_unit_test(port_that_fails_behind_some_packets_is_told_by_its_own_error),
    cmocka_unit_test(poller_that_ends_with_sockets_in_every_state_leaves_nothing),
};
TEST_MAIN(tests)
