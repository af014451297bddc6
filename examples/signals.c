/*
 * Signals and child processes in an event loop: the signal handler does nothing but set a notifier, and the loop does
 * the work, where every function may be called. Signals coalesce, and so do sets of a notifier; so each callback
 * looks for itself what there is to do.
 *
 *   signals [COMMAND [ARGUMENT]...]    runs COMMAND and ends with it; SIGTERM and SIGINT are passed on
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <aioctx/aioctx.h>

extern char **environ;

/* Static: a signal handler has no argument for them. */
static AioNotifier child_changed;
static AioNotifier asked_to_end;

static pid_t child;
static int child_status;

static void on_signal(int number)
{
    aio_notifier_set(number == SIGCHLD ? &child_changed : &asked_to_end);
}

/* Reap all that ended: one SIGCHLD may stand for several children. */
static void reap(AioNotifier *notifier)
{
    pid_t pid;
    int status;
    aio_notifier_test_and_clear(notifier); /* first: a child that ends from now on sets it again */
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == child) {
            child_status = status;
            aio_context_stop(aio_context_current());
        }
    }
}

static void pass_on(AioNotifier *notifier)
{
    aio_notifier_test_and_clear(notifier);
    kill(child, SIGTERM);
}

static int watch(AioContext *ctx, AioNotifier *notifier, AioNotifierFunc *cb, const int *numbers)
{
    int err = aio_notifier_init(notifier, false);
    if (err)
        return err;
    aio_set_event_notifier(ctx, notifier, false, cb, NULL);

    /* Last, so that no signal finds a notifier that is not ready. */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (; *numbers; numbers++)
        sigaction(*numbers, &action, NULL);
    return 0;
}

static void unwatch(AioContext *ctx, AioNotifier *notifier)
{
    /* The signal handler may stay: setting a notifier after its cleanup does nothing. */
    aio_set_event_notifier(ctx, notifier, false, NULL, NULL);
    aio_notifier_cleanup(notifier);
}

int main(int argc, char **argv)
{
    char *sleeper[] = {"sleep", "1", NULL};
    char **command = argc > 1 ? argv + 1 : sleeper;
    AioError *error = NULL;
    AioContext *ctx = aio_context_new(&error);
    if (!ctx) {
        fprintf(stderr, "signals: %s\n", aio_error_message(error));
        aio_error_free(error);
        return 1;
    }
    aio_context_bind(ctx);

    int err = watch(ctx, &child_changed, reap, (const int[]){SIGCHLD, 0});
    if (!err)
        err = watch(ctx, &asked_to_end, pass_on, (const int[]){SIGTERM, SIGINT, 0});
    if (!err)
        err = -posix_spawnp(&child, command[0], NULL, NULL, command, environ);
    if (!err)
        aio_context_run(ctx);
    else
        fprintf(stderr, "signals: %s: %s\n", command[0], strerror(-err));

    unwatch(ctx, &asked_to_end);
    unwatch(ctx, &child_changed);
    aio_context_unref(ctx);
    if (err)
        return 1;
    return WIFEXITED(child_status) ? WEXITSTATUS(child_status) : 128 + WTERMSIG(child_status);
}
