/*
 * The life of a context: making it with the best poller that opens, references, its end, and which
 * thread it belongs to.
 *
 * The finalizer runs in the thread that drops the last reference; where that happens in a callback of the
 * context itself, it runs at the end of the outermost iteration. Ownership is a thread's number in the
 * context; the list of owned contexts is process-wide, and each thread remembers its answer to
 * aio_context_current() for as long as no ownership changes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/context.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/alloc.h"
#include "core/compiler.h"
#include "core/error_text.h"
#include "core/thread_pool.h"

static atomic_uintptr_t last_thread_id;
static atomic_flag owners_lock = ATOMIC_FLAG_INIT;
static AioList owners;                /* linked, under the lock: contexts that have an owner */
static atomic_uint owners_generation; /* changes with the list */

static _Thread_local uintptr_t thread_id;
static _Thread_local AioContext *running;        /* borrowed: the innermost */
static _Thread_local AioContext *first_owned;    /* borrowed for as long as the generation stands */
static _Thread_local unsigned first_owned_as_of; /* a generation; 0: none */

AIO__NOT_INLINED uintptr_t aio__thread_id(void)
{
    if (thread_id == 0) {
        thread_id = atomic_fetch_add_explicit(&last_thread_id, 1, memory_order_relaxed) + 1;
    }
    return thread_id;
}

AIO__NOT_INLINED AioContext *aio__set_running(AioContext *ctx)
{
    AioContext *before = running;
    running = ctx;
    return before;
}

/* The list is changed and searched so rarely that a spin is enough. */
static void lock_owners(void)
{
    /* Acquire: pairs with unlock_owners(). */
    while (atomic_flag_test_and_set_explicit(&owners_lock, memory_order_acquire)) {
        aio__thread_yield();
    }
    if (!aio__node_linked(&owners.head)) {
        aio__list_init(&owners);
    }
}

static void unlock_owners(bool changed)
{
    if (changed) {
        /* Release: pairs with aio_context_current(). */
        atomic_fetch_add_explicit(&owners_generation, 1, memory_order_release);
    }
    /* Release: pairs with lock_owners(). */
    atomic_flag_clear_explicit(&owners_lock, memory_order_release);
}

static AioContext *context_of_owned(AioNode *node)
{
    return AIO_CONTAINER_OF(node, AioContext, owned_node);
}

static void disown(AioContext *ctx)
{
    lock_owners();
    aio__node_unlink(&ctx->owned_node);
    atomic_store_explicit(&ctx->owner, 0, memory_order_relaxed);
    unlock_owners(true);
}

/* Become the owner where there is none. Returns the owner. */
static uintptr_t claim(AioContext *ctx, uintptr_t self)
{
    lock_owners();
    uintptr_t owner = atomic_load_explicit(&ctx->owner, memory_order_relaxed);
    if (owner == 0) {
        owner = self;
        atomic_store_explicit(&ctx->owner, owner, memory_order_relaxed);
        aio__list_push(&owners, &ctx->owned_node);
    }
    unlock_owners(true);
    return owner;
}

static AioContext *find_owned(uintptr_t owner)
{
    AioContext *found = NULL;
    lock_owners();
    for (AioNode *node = aio__list_first(&owners); node && !found;
         node = aio__list_next(&owners, node)) {
        AioContext *ctx = context_of_owned(node);
        if (atomic_load_explicit(&ctx->owner, memory_order_relaxed) == owner) {
            found = ctx;
        }
    }
    unlock_owners(false);
    return found;
}

AIO__NOT_INLINED AioContext *aio_context_current(void)
{
    if (running) {
        return running;
    }
    /* Acquire: pairs with unlock_owners(). Generation 0 is before the first context. */
    unsigned generation = atomic_load_explicit(&owners_generation, memory_order_acquire);
    if (generation != first_owned_as_of) {
        first_owned = find_owned(aio__thread_id());
        first_owned_as_of = generation;
    }
    return first_owned;
}

bool aio__is_home(const AioContext *ctx)
{
    const _Atomic uintptr_t *home =
        ctx->flags & AIO_CONTEXT_SHARED ? &ctx->lock_holder : &ctx->owner;
    return atomic_load_explicit(home, memory_order_relaxed) == aio__thread_id();
}

bool aio__at_home(const AioContext *ctx)
{
    /* Relaxed: a thread always sees its own ownership. */
    bool bound = (ctx->flags & AIO_CONTEXT_SHARED) ||
                 atomic_load_explicit(&ctx->owner, memory_order_relaxed) != 0;
    return !bound || aio__is_home(ctx);
}

bool aio__is_copy(const AioContext *ctx)
{
    return ctx->process != aio__process_id();
}

bool aio_context_in_home_thread(AioContext *ctx)
{
    return aio__is_home(ctx);
}

void aio_context_bind(AioContext *ctx)
{
    uintptr_t self = aio__thread_id();
    if (ctx->flags & AIO_CONTEXT_SHARED) {
        aio__fatal("Shared context '%s' can't be bound to a thread", ctx->name);
    }
    if (!aio__is_home(ctx) && claim(ctx, self) != self) {
        aio__fatal("Context '%s' is bound to another thread", ctx->name);
    }
}

void aio_context_unbind(AioContext *ctx)
{
    aio__enter_home(ctx, "aio_context_unbind");
    assert(ctx->depth == 0);
    if (ctx->loop_state == AIO_LOOP_PREPARED) { /* its host waits no more */
        aio__sleep_end(ctx, AIO_NOTIFY_HOST);
        ctx->loop_state = AIO_LOOP_IDLE;
    }
    aio__file_engine_hand_over(ctx);
    disown(ctx);
}

void aio__enter_home(AioContext *ctx, const char *what)
{
    if (aio_co_in_coroutine()) {
        aio__fatal("%s called inside a coroutine, context '%s'", what, ctx->name);
    }
    if (aio__is_home(ctx)) {
        return;
    }
    if (ctx->flags & AIO_CONTEXT_SHARED) {
        aio__fatal("%s of shared context '%s' without aio_context_acquire()", what, ctx->name);
    }
    uintptr_t self = aio__thread_id();
    if (claim(ctx, self) != self) {
        aio__fatal("%s of context '%s' in another than its home thread", what, ctx->name);
    }
}

void aio_context_acquire(AioContext *ctx)
{
    uintptr_t self = aio__thread_id();
    /* Only this thread can make the two equal, or unequal. */
    if (atomic_load_explicit(&ctx->lock_holder, memory_order_relaxed) != self) {
        aio__mutex_lock(&ctx->user_lock);
        atomic_store_explicit(&ctx->lock_holder, self, memory_order_relaxed);
    }
    ctx->lock_depth++;
}

void aio_context_release(AioContext *ctx)
{
    assert(atomic_load_explicit(&ctx->lock_holder, memory_order_relaxed) == aio__thread_id());
    if (--ctx->lock_depth == 0) {
        atomic_store_explicit(&ctx->lock_holder, 0, memory_order_relaxed);
        aio__mutex_unlock(&ctx->user_lock);
    }
}

void aio_context_ref(AioContext *ctx)
{
    atomic_fetch_add_explicit(&ctx->refcount, 1, memory_order_relaxed);
}

void aio_context_unref(AioContext *ctx)
{
    /* Acquire and release: pairs with itself in other threads; the last one sees what all others did. */
    if (atomic_fetch_sub_explicit(&ctx->refcount, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (ctx->depth > 0) {
        if (!aio__is_home(ctx)) {
            aio__fatal("Last reference of context '%s' dropped while another thread runs it",
                       ctx->name);
        }
        ctx->dying = true;
        return;
    }
    aio__context_finalize(ctx);
}

static void check_nothing_left(AioContext *ctx)
{
    static const char *const clocks[AIO_CLOCK_MAX] = {"REALTIME", "VIRTUAL", "HOST", "VIRTUAL_RT"};
    if (aio__co_context_busy(ctx)) {
        aio__fatal("Context '%s' freed while a coroutine is scheduled on it", ctx->name);
    }
    if (ctx->requests_in_flight > 0) {
        aio__fatal("Context '%s' freed with %u requests in flight", ctx->name,
                   ctx->requests_in_flight);
    }
    for (int clock = 0; clock < AIO_CLOCK_MAX; clock++) {
        if (aio__timers_armed(ctx, (AioClock)clock)) {
            aio__fatal("Context '%s' freed with a timer armed on clock %s", ctx->name,
                       clocks[clock]);
        }
    }
    assert(atomic_load_explicit(&ctx->handlers.count, memory_order_relaxed) == 0 &&
           "a handler was not removed");
}

void aio__context_finalize(AioContext *ctx)
{
    if (!aio__is_copy(ctx)) { /* otherwise no poster ever leaves, and what is left stays so */
        aio__post_wait(ctx);
        aio__handlers_apply(
            ctx); /* removals asked for by threads that are not at home, as this one may be */
        check_nothing_left(ctx);
    }
    aio__file_engine_close(ctx);
    aio__thread_pool_free(ctx->pool);
    aio__co_context_destroy(ctx);
    aio__bh_destroy(ctx);
    aio__timers_destroy(ctx);
    aio__handlers_retire_all(ctx);
    ctx->poller->ops->close(ctx->poller);
    ctx->poller = NULL;
    aio__notify_destroy(ctx);
    aio__handlers_destroy(ctx);
    if (atomic_load_explicit(&ctx->owner, memory_order_relaxed) != 0) {
        disown(ctx);
    }
    aio_error_free(ctx->error);
    aio__mutex_destroy(&ctx->user_lock);
    aio__mutex_destroy(&ctx->lock);
    aio__free(ctx->pollers_refused);
    aio__free(ctx->name);
    aio__free(ctx);
}

/* Choosing a poller. */

static bool is_known(const char *name)
{
    for (const AioPollerOps *const *ops = aio__pollers; *ops; ops++) {
        if (strcmp((*ops)->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void set_unknown_poller(AioError **errp, const char *name, const char *source)
{
    char known[256];
    size_t used = 0;
    known[0] = '\0';
    for (const AioPollerOps *const *ops = aio__pollers; *ops; ops++) {
        int n =
            snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "", (*ops)->name);
        used += n > 0 && used + (size_t)n < sizeof(known) ? (size_t)n : 0;
    }
    aio_error_set(errp, EINVAL, "Unknown poller '%s' in %s; known: %s", name, source, known);
}

/* Remember why a poller was not taken. Memory refused: the list just ends earlier. */
static void note_refusal(AioContext *ctx, const char *name, int error)
{
    const char *before = ctx->pollers_refused ? ctx->pollers_refused : "";
    const char *separator = *before ? "; " : "";
    int size = snprintf(NULL, 0, "%s%s%s: %s (%d)", before, separator, name, aio__error_text(error),
                        error);
    char *text = size > 0 ? aio__malloc((size_t)size + 1) : NULL;
    if (!text) {
        return;
    }
    snprintf(text, (size_t)size + 1, "%s%s%s: %s (%d)", before, separator, name,
             aio__error_text(error), error);
    aio__free(ctx->pollers_refused);
    ctx->pollers_refused = text;
}

static bool open_poller(AioContext *ctx, const char *wanted, AioError **errp)
{
    const char *source = "AioContextOptions";
    int error = -ENOSYS;
    if (!wanted) {
        wanted = aio__getenv("AIOCTX_POLLER");
        source = "AIOCTX_POLLER";
        wanted = wanted && *wanted ? wanted : NULL;
    }
    if (wanted && !is_known(wanted)) {
        set_unknown_poller(errp, wanted, source);
        return false;
    }
    for (const AioPollerOps *const *ops = aio__pollers; *ops; ops++) {
        if (wanted && strcmp((*ops)->name, wanted) != 0) {
            continue;
        }
        error = (*ops)->open(&ctx->poller);
        if (!error) {
            return true;
        }
        note_refusal(ctx, (*ops)->name, -error);
    }
    aio_error_set(errp, -error, "No poller opens: %s",
                  ctx->pollers_refused ? ctx->pollers_refused : aio__error_text(-error));
    return false;
}

static bool check_options(const AioContextOptions *options, AioError **errp)
{
    /* There was no smaller version so far; what a larger one asks for can't be judged here. */
    if (options->size != sizeof(*options)) {
        aio_error_set(errp, EINVAL, "AioContextOptions of %zu bytes is not known here",
                      options->size);
        return false;
    }
    return true;
}

AioContext *aio_context_new_with_options(const AioContextOptions *given, AioError **errp)
{
    AioContextOptions options = {.size = sizeof(options)};
    if (given) {
        if (!check_options(given, errp)) {
            return NULL;
        }
        memcpy(&options, given, given->size);
    }
    if (options.flags & ~(unsigned)AIO_CONTEXT_SHARED) {
        aio_error_set(errp, EINVAL, "Unknown context flags %#x", options.flags);
        return NULL;
    }
    AioContext *ctx = aio__calloc(1, sizeof(*ctx));
    if (!ctx) {
        goto no_context;
    }
    ctx->name = aio__strdup(options.name ? options.name : "aio");
    if (!ctx->name) {
        goto no_name;
    }
    atomic_init(&ctx->refcount, 1);
    ctx->flags = options.flags;
    ctx->process = aio__process_id();
    aio__mutex_init(&ctx->lock);
    aio__mutex_init(&ctx->user_lock);
    aio__bh_init(ctx);
    if (!open_poller(ctx, options.poller, errp)) {
        goto no_poller;
    }
    int error = aio__handlers_init(ctx);
    if (error) {
        goto no_handlers;
    }
    error = aio__notify_init(ctx);
    if (error) {
        goto no_notifier;
    }
    error = aio__timers_init(ctx);
    if (error) {
        goto no_timers;
    }
    error = aio__co_context_init(ctx);
    if (error) {
        goto no_coroutines;
    }
    return ctx;

no_coroutines:
    aio__timers_destroy(ctx);
no_timers:
    aio__notify_destroy(ctx);
no_notifier:
    aio__handlers_destroy(ctx);
no_handlers:
    aio_error_set(errp, -error, "Context '%s' can't be made: %s", ctx->name,
                  aio__error_text(-error));
    ctx->poller->ops->close(ctx->poller);
no_poller:
    aio__mutex_destroy(&ctx->user_lock);
    aio__mutex_destroy(&ctx->lock);
    aio__free(ctx->pollers_refused);
    aio__free(ctx->name);
    aio__free(ctx);
    return NULL;

no_name:
    aio__free(ctx);
no_context:
    aio_error_set(errp, ENOMEM, "No memory for a context");
    return NULL;
}

AioContext *aio_context_new(AioError **errp)
{
    return aio_context_new_with_options(NULL, errp);
}

void aio_context_setup(AioContext *ctx)
{
    (void)ctx;
}

void aio_context_destroy(AioContext *ctx)
{
    (void)ctx;
}
