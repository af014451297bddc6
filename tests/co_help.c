/*
 * Loops in threads, and the rest of co_help.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/co_help.h"

#ifdef UNDER_ASAN
/* Frames that outlive their function are found: a switcher must not look at what it left. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_stack_use_after_return=1";
}
#endif

AioCoroutine *co_make(AioCoroutineFunc *entry, void *opaque)
{
    AioError *error = NULL;
    AioCoroutine *co = aio_co_create_full(entry, opaque, &error);
    if (!co) {
        print_error("%s\n", aio_error_message(error));
        aio_error_free(error);
        fail();
    }
    return co;
}

void co_start(AioContext *ctx, AioCoroutineFunc *entry, void *opaque)
{
    aio_co_enter(ctx, co_make(entry, opaque));
}

void co_count_to_three(void *opaque)
{
    int *count = opaque;
    for (int i = 0; i < 3; i++) {
        ++*count;
        aio_co_yield();
    }
    ++*count;
}

void co_nothing(void *opaque)
{
    (void)opaque;
}

void co_note(CoLog *log, char letter)
{
    size_t length = strlen(log->text);
    if (length + 1 < sizeof(log->text)) {
        log->text[length] = letter;
        log->text[length + 1] = '\0';
    }
}

void co_loops_start(CoLoops *loops, int count)
{
    AioContextOptions options = {
        .size = sizeof(options), .poller = fixture_poller(), .name = "loop"};
    loops->count = count;
    for (int i = 0; i < count; i++) {
        loops->threads[i] = aio_thread_start(&options, NULL);
        assert_non_null(loops->threads[i]);
        loops->ctx[i] = aio_thread_context(loops->threads[i]);
    }
}

void co_loops_join(CoLoops *loops)
{
    for (int i = 0; i < loops->count; i++) {
        aio_thread_join(loops->threads[i]);
    }
}

bool co_await (atomic_int *value, int wanted)
{
    int64_t end = fixture_now_ns() + 30000000000;
    while (atomic_load(value) < wanted) {
        if (fixture_now_ns() > end) {
            return false;
        }
        fixture_yield();
    }
    return true;
}

void co_drive_until(AioContext *ctx, atomic_int *value, int wanted)
{
    while (atomic_load(value) < wanted) {
        drive(ctx, true);
    }
}

unsigned co_random(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return *seed >> 16;
}

int co_rounds(int count)
{
    return count * (int)fixture_long();
}

int64_t co_end(void)
{
    return fixture_now_ns() + 1000000000 * (int64_t)fixture_long();
}
