/*
 * The functions whose signature is given to us: each is assigned to a pointer of the type that code written against the
 * interface takes it for, so a change of one does not compile. Names are looked up by tests/style.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

typedef void Callback(void *opaque);
typedef bool Look(void *opaque);
typedef void OfNotifier(AioNotifier *notifier);

/* An int takes the place of the enum and the scale, as it does in C. */
static AioContext *(*const context_new)(AioError **) = aio_context_new;
static void (*const set_poll_params)(AioContext *, int64_t, int64_t, int64_t,
                                     AioError **) = aio_context_set_poll_params;
static bool (*const poll)(AioContext *, bool) = aio_poll;
static int64_t (*const compute_timeout)(AioContext *) = aio_compute_timeout;
static AioContext *(*const current)(void) = aio_context_current;

static void (*const of_context[])(AioContext *) = {
    aio_context_ref,   aio_context_unref,   aio_context_acquire,  aio_context_release,
    aio_context_setup, aio_context_destroy, aio_notify,           aio_notify_accept,
    aio_dispatch,      aio_enable_external, aio_disable_external,
};
static bool (*const asked_of_context[])(AioContext *) = {
    aio_prepare, aio_pending, aio_external_disabled, aio_context_in_home_thread};
static bool (*const node_check)(AioContext *, bool) = aio_node_check;

static AioBh *(*const bh_new)(AioContext *, Callback *, void *) = aio_bh_new;
static void (*const bh_schedule_oneshot)(AioContext *, Callback *,
                                         void *) = aio_bh_schedule_oneshot;
static void (*const of_bh[])(AioBh *) = {aio_bh_schedule, aio_bh_cancel, aio_bh_delete,
                                         aio_bh_call};
static int (*const bh_poll)(AioContext *) = aio_bh_poll;

static void (*const set_fd_handler)(AioContext *, int, bool, Callback *, Callback *, AioPollFn *,
                                    void *) = aio_set_fd_handler;
static void (*const set_fd_poll)(AioContext *, int, Callback *, Callback *) = aio_set_fd_poll;
static void (*const set_event_notifier)(AioContext *, AioNotifier *, bool, OfNotifier *,
                                        Look *) = aio_set_event_notifier;
static void (*const set_event_notifier_poll)(AioContext *, AioNotifier *, OfNotifier *,
                                             OfNotifier *) = aio_set_event_notifier_poll;

static AioTimer *(*const timer_new)(AioContext *, AioClock, int, Callback *,
                                    void *) = aio_timer_new;
static AioTimer *(*const timer_new_with_attrs)(AioContext *, AioClock, int, int, Callback *,
                                               void *) = aio_timer_new_with_attrs;
static void (*const timer_init)(AioContext *, AioTimer *, AioClock, int, Callback *,
                                void *) = aio_timer_init;
static void (*const timer_init_with_attrs)(AioContext *, AioTimer *, AioClock, int, int, Callback *,
                                           void *) = aio_timer_init_with_attrs;

static void (*const of_coroutine[])(AioContext *, AioCoroutine *) = {aio_co_schedule, aio_co_enter};
static void (*const co_wake)(AioCoroutine *) = aio_co_wake;
static AioThreadPool *(*const get_thread_pool)(AioContext *) = aio_get_thread_pool;

#define assert_all(functions)                                                                      \
    for (size_t i = 0; i < sizeof(functions) / sizeof((functions)[0]); i++)                        \
    assert_non_null((functions)[i])

static void functions_have_the_signatures_of_the_interface(void **state)
{
    (void)state;
    assert_true(context_new && set_poll_params && poll && compute_timeout && current && node_check);
    assert_true(bh_new && bh_schedule_oneshot && bh_poll);
    assert_true(set_fd_handler && set_fd_poll && set_event_notifier && set_event_notifier_poll);
    assert_true(timer_new && timer_new_with_attrs && timer_init && timer_init_with_attrs);
    assert_true(co_wake && get_thread_pool);
    assert_all(of_context);
    assert_all(asked_of_context);
    assert_all(of_bh);
    assert_all(of_coroutine);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(functions_have_the_signatures_of_the_interface),
};
TEST_MAIN(tests)
