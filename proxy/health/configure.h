/*
 * Backends out of the configuration: a [backend NAME] with what it takes from [tls].
 */
#pragma once

#include <stddef.h>

struct backend;
struct conf;

/* NULL with "origin: section.key: what is wrong" in `error`: a certificate or a key that cannot be used. */
struct backend *backend_configure(const struct conf *conf, const char *name, char *error, size_t error_len);

/*
 * What to use when a configuration is read again: `known` when it is the same backend with nothing changed, with the
 * certificates that `fresh` read; else `fresh`. The reference to the other one is given up. Main's thread.
 */
struct backend *backend_unchanged(struct backend *known, struct backend *fresh);
