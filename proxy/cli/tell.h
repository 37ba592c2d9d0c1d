/*
 * For run.c: what is said of a configuration when it is taken up, and what of it only a restart takes up. Main's
 * thread.
 */
#pragma once

#include <stddef.h>

struct conf;
struct settings;

void tell_start(const struct settings *settings);
/* Whoever turned verification off shall not forget it. */
void tell_trust(const struct settings *settings);
/* A CI job that may end up on somebody's hosted Redis should at least know. */
void tell_ci(const struct settings *settings);
/* One warning for each line of `text`. */
void tell_lines(const char *event, const char *text);
/* Raises the limit on descriptors as far as it goes, and warns when that is too few. */
void allow_descriptors(const struct settings *settings);

/* Settings that differ and that only a restart changes, as "listen.address listen.workers"; "" when none do. */
void frozen_list(const struct conf *before, const struct conf *now, char *text, size_t len);
