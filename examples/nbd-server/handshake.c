/*
 * The handshake: the fixed newstyle greeting, and option haggling until the client has chosen an export. Each option is
 * read whole before it is looked at, and its length is bounded. What an option gets wrong is answered with the
 * protocol's error reply, and haggling goes on; where the two sides no longer agree where a message begins, the
 * connection ends.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <string.h>

#include "connection.h"

/* What an option's function returns besides negative errno values. */
enum { HAGGLE = 0, CHOSEN = 1 };

enum { MAX_OPTIONS = 1000 };

static const char allocation[] = "base:allocation";

static int send_bytes(Connection *conn, const void *head, size_t head_len, const void *data,
                      size_t len)
{
    uint8_t copy[256];
    memcpy(copy, head, head_len);
    AioIoVec iov[] = {{.base = copy, .len = head_len},
                      {.base = (void *)(uintptr_t)data, .len = len}};
    return connection_send(conn, iov, len ? 2 : 1);
}

static int reply(Connection *conn, uint32_t option, uint32_t type, const void *data, size_t len)
{
    uint8_t head[NBD_OPTION_REPLY_SIZE];
    nbd_put32(nbd_put32(nbd_put32(nbd_put64(head, NBD_OPTION_REPLY_MAGIC), option), type),
              (uint32_t)len);
    return send_bytes(conn, head, sizeof(head), data, len);
}

static int refuse(Connection *conn, uint32_t option, uint32_t type, const char *why)
{
    return reply(conn, option, type, why, strlen(why));
}

static uint16_t export_flags(const Connection *conn, const Export *export)
{
    /* All connections write through one page cache, so a flush on one covers the others. */
    unsigned flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_FUA |
                     NBD_FLAG_SEND_CACHE | NBD_FLAG_CAN_MULTI_CONN;
    if (export->read_only)
        flags |= NBD_FLAG_READ_ONLY;
    else
        flags |= NBD_FLAG_SEND_TRIM | NBD_FLAG_SEND_WRITE_ZEROES | NBD_FLAG_SEND_FAST_ZERO;
    if (conn->structured)
        flags |= NBD_FLAG_SEND_DF;
    return (uint16_t)flags;
}

static int choose(Connection *conn, const Export *export)
{
    conn->export = export;
    conn->file = conn->worker->files[export - conn->worker->server->exports];
    return CHOSEN;
}

/* The option of old: no error reply exists for it. */
static int export_name(Connection *conn, uint32_t option, const uint8_t *data, uint32_t len)
{
    uint8_t answer[8 + 2 + 124] = {0};
    const Export *export = export_find(conn->worker->server, data, len);
    (void)option;
    if (!export)
        return connection_fault(conn, "asked for an unknown export \"%.*s\"",
                                (int)(len < 64 ? len : 64), (const char *)data);
    nbd_put16(nbd_put64(answer, export->size), export_flags(conn, export));
    int err = send_bytes(conn, answer, conn->no_zeroes ? 10 : sizeof(answer), NULL, 0);
    return err ? err : choose(conn, export);
}

static int abort_handshake(Connection *conn, uint32_t option, const uint8_t *data, uint32_t len)
{
    (void)data;
    (void)len;
    conn->explained = true; /* it need not wait for this */
    reply(conn, option, NBD_REP_ACK, NULL, 0);
    return -EPIPE;
}

static int list(Connection *conn, uint32_t option, const uint8_t *data, uint32_t len)
{
    const Server *server = conn->worker->server;
    (void)data;
    if (len)
        return refuse(conn, option, NBD_REP_ERR_INVALID, "LIST has no data");
    for (unsigned i = 0; i < server->export_count; i++) {
        uint8_t item[4 + sizeof(server->exports[i].name)];
        size_t length = strlen(server->exports[i].name);
        memcpy(nbd_put32(item, (uint32_t)length), server->exports[i].name, length);
        int err = reply(conn, option, NBD_REP_SERVER, item, 4 + length);
        if (err)
            return err;
    }
    return reply(conn, option, NBD_REP_ACK, NULL, 0);
}

static int send_info(Connection *conn, uint32_t option, const Export *export, uint16_t what)
{
    uint8_t info[2 + sizeof(export->name)], *end = nbd_put16(info, what);
    switch (what) {
    case NBD_INFO_EXPORT:
        end = nbd_put16(nbd_put64(end, export->size), export_flags(conn, export));
        break;
    case NBD_INFO_NAME:
        memcpy(end, export->name, strlen(export->name));
        end += strlen(export->name);
        break;
    case NBD_INFO_BLOCK_SIZE: /* least, best and most bytes of a request */
        end = nbd_put32(nbd_put32(nbd_put32(end, 1), 4096), MAX_PAYLOAD);
        break;
    default:
        return 0; /* the protocol has us pass over what we don't know */
    }
    return reply(conn, option, NBD_REP_INFO, info, (size_t)(end - info));
}

/* INFO and GO: a name (length first), then a number of 16-bit wishes. */
static int info(Connection *conn, uint32_t option, const uint8_t *data, uint32_t len)
{
    uint32_t name_len = len >= 6 ? nbd_get32(data) : UINT32_MAX;
    if (name_len > NBD_MAX_STRING || name_len > len - 6)
        return refuse(conn, option, NBD_REP_ERR_INVALID, "the name does not fit into the option");
    const uint8_t *name = data + 4, *wishes = name + name_len + 2;
    uint32_t count = nbd_get16(name + name_len);
    if (len - 6 - name_len != 2 * count)
        return refuse(conn, option, NBD_REP_ERR_INVALID, "wrong number of information requests");
    const Export *export = export_find(conn->worker->server, name, name_len);
    if (!export)
        return refuse(conn, option, NBD_REP_ERR_UNKNOWN, "there is no such export");

    int err = send_info(conn, option, export, NBD_INFO_EXPORT);
    for (uint32_t i = 0; i < count && !err; i++) {
        uint16_t wish = nbd_get16(wishes + 2 * i);
        if (wish != NBD_INFO_EXPORT)
            err = send_info(conn, option, export, wish);
    }
    if (!err)
        err = reply(conn, option, NBD_REP_ACK, NULL, 0);
    return err || option == NBD_OPT_INFO ? err : choose(conn, export);
}

static int structured_reply(Connection *conn, uint32_t option, const uint8_t *data, uint32_t len)
{
    (void)data;
    if (len)
        return refuse(conn, option, NBD_REP_ERR_INVALID, "STRUCTURED_REPLY has no data");
    conn->structured = true;
    return reply(conn, option, NBD_REP_ACK, NULL, 0);
}

/* Whether one of the queries asks for base:allocation. False in *valid where they are malformed. */
static bool queries_match(const uint8_t *data, uint32_t len, uint32_t count, bool listing,
                          bool *valid)
{
    bool match = listing && count == 0; /* no query lists all */
    *valid = false;
    for (; count; count--) {
        uint32_t length = len >= 4 ? nbd_get32(data) : UINT32_MAX;
        if (length > NBD_MAX_STRING || length > len - 4)
            return false;
        const char *query = (const char *)data + 4;
        match |= length == sizeof(allocation) - 1 && memcmp(query, allocation, length) == 0;
        match |= listing && length == 5 && memcmp(query, "base:", 5) == 0;
        data += 4 + length;
        len -= 4 + length;
    }
    *valid = len == 0;
    return match;
}

/* LIST_META_CONTEXT and SET_META_CONTEXT: a name, a number of queries, each with its length first. */
static int meta_context(Connection *conn, uint32_t option, const uint8_t *data, uint32_t len)
{
    bool listing = option == NBD_OPT_LIST_META_CONTEXT, valid;
    if (!conn->structured)
        return refuse(conn, option, NBD_REP_ERR_INVALID, "STRUCTURED_REPLY must come first");
    uint32_t name_len = len >= 8 ? nbd_get32(data) : UINT32_MAX;
    if (name_len > NBD_MAX_STRING || name_len > len - 8)
        return refuse(conn, option, NBD_REP_ERR_INVALID, "the name does not fit into the option");
    const uint8_t *rest = data + 4 + name_len;
    bool match = queries_match(rest + 4, len - 8 - name_len, nbd_get32(rest), listing, &valid);
    if (!valid)
        return refuse(conn, option, NBD_REP_ERR_INVALID, "the queries do not fit into the option");
    const Export *export = export_find(conn->worker->server, data + 4, name_len);
    if (!listing)
        conn->status_export = NULL; /* a later choice replaces the former */
    if (!export)
        return refuse(conn, option, NBD_REP_ERR_UNKNOWN, "there is no such export");

    if (match) {
        uint8_t context[4 + sizeof(allocation) - 1];
        memcpy(nbd_put32(context, listing ? 0 : ALLOCATION_ID), allocation, sizeof(allocation) - 1);
        int err = reply(conn, option, NBD_REP_META_CONTEXT, context, sizeof(context));
        if (err)
            return err;
        if (!listing)
            conn->status_export = export;
    }
    return reply(conn, option, NBD_REP_ACK, NULL, 0);
}

static const struct {
    uint32_t option;
    int (*run)(Connection *conn, uint32_t option, const uint8_t *data, uint32_t len);
} options[] = {
    {NBD_OPT_EXPORT_NAME, export_name},
    {NBD_OPT_ABORT, abort_handshake},
    {NBD_OPT_LIST, list},
    {NBD_OPT_INFO, info},
    {NBD_OPT_GO, info},
    {NBD_OPT_STRUCTURED_REPLY, structured_reply},
    {NBD_OPT_LIST_META_CONTEXT, meta_context},
    {NBD_OPT_SET_META_CONTEXT, meta_context},
};

static int run_option(Connection *conn, uint32_t option, const uint8_t *data, uint32_t len)
{
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (options[i].option == option)
            return options[i].run(conn, option, data, len);
    }
    return refuse(conn, option, NBD_REP_ERR_UNSUP, "unknown option");
}

static int haggle_once(Connection *conn)
{
    const uint8_t *p;
    int err = connection_take(conn, NBD_OPTION_SIZE, &p);
    if (err)
        return err;
    uint64_t magic = nbd_get64(p);
    uint32_t option = nbd_get32(p + 8), len = nbd_get32(p + 12);
    if (magic != NBD_OPTION_MAGIC)
        return connection_fault(conn, "sent a wrong magic number instead of an option");
    if (len > MAX_OPTION) {
        if (option != NBD_OPT_EXPORT_NAME)
            refuse(conn, option, NBD_REP_ERR_TOO_BIG, "the option is too long");
        return connection_fault(conn, "sent an option of %u bytes", len);
    }
    err = connection_take(conn, len, &p);
    return err ? err : run_option(conn, option, p, len);
}

int handshake(Connection *conn)
{
    uint8_t greeting[18];
    const uint8_t *p;
    nbd_put16(nbd_put64(nbd_put64(greeting, NBD_MAGIC), NBD_OPTION_MAGIC),
              NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES);
    int result = send_bytes(conn, greeting, sizeof(greeting), NULL, 0);
    if (!result)
        result = connection_take(conn, 4, &p);
    if (result)
        return result;
    uint32_t flags = nbd_get32(p);
    if (flags & ~(uint32_t)(NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES))
        return connection_fault(conn, "has unknown handshake flags 0x%x", flags);
    conn->no_zeroes = flags & NBD_NO_ZEROES;

    for (int i = 0; i < MAX_OPTIONS && result == HAGGLE; i++)
        result = haggle_once(conn);
    if (result == HAGGLE)
        return connection_fault(conn, "haggles without end");
    if (result < 0)
        return result;
    if (conn->status_export != conn->export)
        conn->status_export = NULL; /* chosen for another export than this one */
    return 0;
}
