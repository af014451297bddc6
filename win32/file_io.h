/*
 * What file engines ask about requests beside aio__file_io_run().
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_WIN32_FILE_IO_H
#define AIOCTX_WIN32_FILE_IO_H

#include "core/platform.h"

/*
 * Whether a transfer past the cache is not of whole sectors, to or from whole ones. aio__file_io_run() answers such a
 * one without any I/O: 0 for a read from the end of the file on, otherwise -EINVAL.
 */
bool aio__file_io_is_misaligned(const AioFileIo *io);

#endif
