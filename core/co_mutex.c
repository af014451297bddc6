/* SPDX-License-Identifier: MIT */
typedef int aio__not_yet_written;
