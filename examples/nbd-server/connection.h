/*
 * One client. All of it belongs to one worker's context.
 *
 * Two kinds of coroutine run for it: one for the connection, which shakes hands and then reads requests, and one for
 * each request, which does the work and sends the reply.
 *
 *   handshake --GO--> requests --end of input, fault, drain--> ending --no request in flight--> closed
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef NBD_SERVER_CONNECTION_H
#define NBD_SERVER_CONNECTION_H

#include "nbd.h"
#include "server.h"
#include "socket.h"

enum {
    INPUT_SIZE = 32 * 1024, /* holds the longest option, and some hundred requests */
    MAX_OPTION = 16 * 1024,
    ALLOCATION_ID = 1,              /* our number for the context base:allocation */
    MAX_PAYLOAD = 32 * 1024 * 1024, /* of one read or write */
};

typedef struct Request {
    Connection *conn;
    struct Request *next; /* linked, while it is spare */
    uint64_t cookie;
    uint64_t offset;
    uint32_t length;
    uint16_t flags;
    uint16_t type;
    int error;       /* negative errno value: found wrong before it ran */
    uint8_t *data;   /* owned; kept for the next request */
    size_t capacity; /* of `data`: counts in the connection's bytes */
} Request;

struct Connection {
    Socket sock;
    Worker *worker;
    Connection *prev, *next; /* linked in the worker */
    unsigned id;
    AioHandle handle; /* until the connection runs: then the socket owns it */
    char peer[64];
    bool idle;      /* it waits, or waited last, between two messages */
    bool explained; /* the log has said why it ends */

    /* what the handshake agreed on */
    int64_t handshake_end; /* 0: it is over */
    const Export *export;
    const Export *status_export; /* base:allocation was chosen for this one */
    AioFile *file;               /* borrowed from the worker */
    bool structured;
    bool no_zeroes;

    /* input read ahead: [start, end) of `input` */
    size_t start, end;
    uint8_t input[INPUT_SIZE];

    /* requests in flight */
    AioCoMutex sending;
    AioCoQueue room; /* the connection's coroutine waits here for requests to end */
    unsigned requests;
    Request *spare;     /* linked, owned */
    size_t bytes;       /* of the buffers of both: max_bytes at most, but for a single larger one */
    size_t spare_bytes; /* those of them that are spare */
};

/* connection.c: hand a new, non-blocking socket to a worker. Takes it over also where it fails. */
bool connection_start(Worker *worker, AioHandle handle, unsigned id, const char *peer,
                      AioError **errp);
/* In the home thread: no new requests, and an end once those in flight are answered. */
void connection_drain(Connection *conn);

/* Say in the log why the connection ends; only the first reason counts. Returns -EPROTO, for the caller to return. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
int connection_fault(Connection *conn, const char *format, ...);

/*
 * Input: 0 or a negative errno value, -EPIPE where the client left between two messages. Take has `length`
 * bytes (INPUT_SIZE at most) ready and moves past them; they are good until the next call. Read copies to a
 * buffer, skip discards.
 */
int connection_take(Connection *conn, size_t length, const uint8_t **data);
int connection_read(Connection *conn, uint8_t *buffer, size_t length);
int connection_skip(Connection *conn, size_t length);

/* Output: one coroutine at a time, so requests hold `sending`. Uses up iov. A failure ends the connection. */
int connection_send(Connection *conn, AioIoVec *iov, int iovcnt);

/* handshake.c: 0 once the client has chosen an export, or a negative errno value as of the input. */
int handshake(Connection *conn);

/* transmission.c: read requests until the client leaves (-EPIPE) or something is wrong. */
int transmission(Connection *conn);
void transmission_finish(Connection *conn); /* wait for those in flight, free what is spare */

/*
 * request.c: what is wrong with a request (a negative errno value, or 0), how much memory its data needs, and
 * doing it: the number of bytes of the reply's data, or a negative errno value.
 */
int request_check(const Request *req);
uint32_t request_payload(const Request *req);
int64_t request_run(Request *req);

#endif
