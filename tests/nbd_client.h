/*
 * A running nbd-server, and a client that speaks to it byte by byte, so that it can say wrong things.
 *
 * Each test starts one server with a patterned image; a bystander is connected to it before the test does its worst. At
 * the end, nbd_finish() has the bystander and a new client read the whole image, ends the server by SIGTERM and wants
 * exit status 0 (with a leak checker built in, that includes "nothing leaked"), and compares the file.
 *
 * The server may also be Windows' nbd-server.exe: AIOCTX_NBD_WINE names the Wine that runs it, AIOCTX_NBD_EXE the
 * program. It listens on TCP then, and is ended by SIGINT, which Wine makes a Ctrl-C of.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_TESTS_NBD_CLIENT_H
#define AIOCTX_TESTS_NBD_CLIENT_H

#include <sys/types.h>

#include "examples/nbd-server/nbd.h"
#include "tests/fixture.h"

enum { NBD_IMAGE_SIZE = 1024 * 1024 };
#define NBD_WIDE_NAME                                                                              \
    "gr\xc3\xb6\xc3\x9f"                                                                           \
    "e \xe6\x97\xa5" /* a file name that is not ASCII */

/* Whether the server is that of Windows; and skip what it can't be asked for. */
bool nbd_is_windows(void);
void nbd_not_on_windows(const char *reason);

/* A directory with "image" before the test, and an end to whatever is left after it. */
int nbd_setup(void **state);
int nbd_teardown(void **state);
#define cmocka_unit_test_nbd(test) cmocka_unit_test_setup_teardown(test, nbd_setup, nbd_teardown)

/* The path of a file in the test's directory (one of the last few asked for). */
const char *nbd_path(const char *name);

/* What the image should hold; tests that write change it along. */
extern uint8_t nbd_expected[NBD_IMAGE_SIZE];

/*
 * Start the server, listening on nbd_path("socket") or on TCP, with more arguments (up to NULL) and then `image`, and wait
 * until it listens. Returns its process id.
 */
pid_t nbd_start_image(const char *image, ...);
#define nbd_start(...) nbd_start_image(nbd_path("image"), __VA_ARGS__)
/* The same without waiting, with all arguments given. Standard output and error go to nbd_path("log"). */
pid_t nbd_spawn(const char *const *args);
/* Ask it to end. */
void nbd_stop(pid_t pid);
/* The exit status of a process; fails the test after 20 s. */
int nbd_wait(pid_t pid);
/* Whether the log has this text; waits for it for a while. */
bool nbd_log_has(const char *text);
/* How many lines the log has with this text. */
unsigned nbd_log_count(const char *text);

/* See above. */
void nbd_finish(pid_t pid);

/* The bystander's connection; for tests that do without nbd_finish(). */
int nbd_take_bystander(void);

/* Connections: blocking, and every call fails the test after 20 s of silence. */
int nbd_connect(void);
int nbd_connect_tcp(void); /* to the first address on TCP */
void nbd_send(int fd, const void *data, size_t size);
void nbd_recv(int fd, void *data, size_t size);
/* That the server closes it, whatever it sends before. */
void nbd_expect_closed(int fd);

/* Handshake. */
int nbd_greeted(void); /* a new connection, flags exchanged */
void nbd_option(int fd, uint32_t option, const void *data, size_t size);
/* One reply: returns its type; its data, cut at `size`, goes to `data`; *length is what it had. */
uint32_t nbd_option_reply(int fd, uint32_t option, void *data, size_t size, size_t *length);
/* The same, passing over all replies up to the last, an ACK or an error. */
uint32_t nbd_option_result(int fd, uint32_t option);
size_t nbd_put_name(uint8_t *p, const char *name); /* with its length first */
/* GO for an export. Returns the connection's flags, or fails the test. */
uint16_t nbd_go(int fd, const char *name);
int nbd_ready(void); /* a new connection to "" with simple replies */
int nbd_ready_structured(bool with_status);

/* Requests. */
void nbd_request(int fd, uint16_t flags, uint16_t type, uint64_t cookie, uint64_t offset,
                 uint32_t length);
uint32_t nbd_reply(int fd, uint64_t cookie); /* a simple reply's error */
/* Both in one; with the cookie of the caller's line. */
#define nbd_command(fd, flags, type, offset, length)                                               \
    (nbd_request(fd, flags, type, __LINE__, offset, length), nbd_reply(fd, __LINE__))
uint32_t nbd_write(int fd, uint16_t flags, uint64_t offset, const void *data, uint32_t length);
uint32_t nbd_read(int fd, uint64_t offset, void *data, uint32_t length);
/* A chunk of a structured reply, its data cut at `size`. Returns its type; *length is what it had. */
uint16_t nbd_chunk(int fd, uint64_t cookie, void *data, size_t size, size_t *length);
/* That the whole image reads as expected. */
void nbd_expect_image(int fd);

#endif
