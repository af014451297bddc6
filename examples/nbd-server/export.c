/*
 * The exports: a table of names and images, filled from the command line before the first client comes. A name that a
 * client sends is compared with those in the table, and is never part of a path.
 * Each image is opened once, with a lock that keeps other writers out (for reading: keeps writers out) until exit.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "nbd.h"
#include "server.h"
#include "system.h"

const Export *export_find(const Server *server, const uint8_t *name, size_t length)
{
    for (unsigned i = 0; i < server->export_count; i++) {
        const Export *export = &server->exports[i];
        if (strlen(export->name) == length && memcmp(export->name, name, length) == 0)
            return export;
    }
    return NULL;
}

/* Split [NAME=]FILE in place; a '=' behind a separator belongs to the file. */
static const char *split(const char *image, char *name, size_t size)
{
    size_t length = strcspn(image, "=");
    if (image[length] != '=' || length >= size || strcspn(image, system_separators) < length) {
        name[0] = '\0';
        return image;
    }
    memcpy(name, image, length);
    name[length] = '\0';
    return image + length + 1;
}

static const char *hint(int code, bool read_only)
{
    if (!read_only && (code == EACCES || code == EROFS))
        return " (try --read-only)";
    return "";
}

static bool open_one(Server *server, const char *image, AioError **errp)
{
    Export export = {.read_only = server->options.read_only};
    const char *path = split(image, export.name, sizeof(export.name));
    unsigned flags = AIO_FILE_READ | AIO_FILE_LOCK | (export.read_only ? 0 : AIO_FILE_WRITE);
    if (export_find(server, (const uint8_t *)export.name, strlen(export.name))) {
        aio_error_set(errp, EEXIST, "%s: there is another export \"%s\"", image, export.name);
        return false;
    }
    AioError *error = NULL;
    export.file = aio_file_open(server->ctx, path, flags, &error);
    if (!export.file) {
        aio_error_set(errp, aio_error_code(error), "%s%s", aio_error_message(error),
                      hint(aio_error_code(error), export.read_only));
        aio_error_free(error);
        return false;
    }
    int64_t size = aio_file_size(export.file);
    if (size < 0) {
        aio_error_set(errp, (int)-size, "%s: can't tell its size", path);
        aio_file_close(export.file);
        return false;
    }
    export.size = (uint64_t)size;
    server->exports[server->export_count++] = export;
    return true;
}

bool exports_open(Server *server, AioError **errp)
{
    for (unsigned i = 0; i < server->options.exports; i++) {
        if (!open_one(server, server->options.images[i], errp))
            return false;
    }
    return true;
}

void exports_close(Server *server)
{
    while (server->export_count)
        aio_file_close(server->exports[--server->export_count].file);
}
