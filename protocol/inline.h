/*
 * Inline commands: a line typed into a terminal, split into arguments by the rules of the Redis protocol specification
 * (double quotes with \n \r \t \b \a \\ \" and \xHH escapes, single quotes with \', blanks between arguments, a closing
 * quote must be followed by a blank or the end) and written again as a canonical array of bulks.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum inline_status {
    INLINE_OK,
    INLINE_EMPTY,      /* blanks only: no reply, nothing to forward */
    INLINE_UNBALANCED, /* "unbalanced quotes in request" */
};

/* Most bytes inline_to_array() can need for a line of `len` bytes. */
size_t inline_array_bound(size_t len);

/*
 * `line` without its line end. Writes the command as `*n\r\n$len\r\n...` to `out`, which holds inline_array_bound(len)
 * bytes, and its length to *out_len.
 */
enum inline_status inline_to_array(const uint8_t *line, size_t len, uint8_t *out, size_t *out_len);
