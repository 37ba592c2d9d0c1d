/*
 * Words for traffic: what is asked, and what must be answered. Requests go to the client's stream, answers to its
 * queue. Keys and tags live in a scratch area until the next group_begin() of anybody; one thread.
 */
#pragma once

#include "tagload/client.h"

enum { PRINTABLE_TAG = 64, LONGEST_TAG = 3072, DATABASES = 4, MARK_LEN = 32 };

void group_begin(struct client *c);

/* A fresh key of this client and group, "name:client:generation:group:run". */
struct text new_key(struct client *c, const char *name);

/*
 * A value that says whose it is, "c3.g1.n17.d0.r9f:" and random padding of 0 .. max_padding bytes, among them ones that
 * look like RESP. new_word() has printable padding without blanks, for errors, inline commands and names.
 */
struct text new_tag(struct client *c, unsigned max_padding);
struct text new_word(struct client *c, unsigned max_padding);

/* The set that the partner puts into each database before the others start, and its only member; both into `room`. */
struct text mark_key(const struct load *load, char room[MARK_LEN]);
struct text mark_of(const struct load *load, unsigned db, char room[MARK_LEN]);

void ask_args(struct client *c, size_t argc, const struct text *argv);
#define ASK(c, ...)                                                                                                    \
    ask_args(c, sizeof((struct text[]){__VA_ARGS__}) / sizeof(struct text), (struct text[]){__VA_ARGS__})
/* One request that is encoded already, or an inline one; the bytes stay the caller's. */
void ask_encoded(struct client *c, const struct bytes *request);
void encode_args(struct bytes *b, size_t argc, const struct text *argv);

/* SELECT with its answer; 0 .. 9. What follows is asked of that database. */
void ask_select(struct client *c, unsigned db);

/* The next reply; the returned entry may be given alternatives and marks. */
struct expect *answer_of_kind(struct client *c, enum expect_kind kind);
struct expect *answer(struct client *c, const char *raw);
struct expect *answer_bulk(struct client *c, struct text value);
struct expect *answer_null(struct client *c);
/* Further allowed bytes when `when` happened in the group. */
void or_else(struct expect *e, unsigned when, const char *raw);
void or_bulk(struct expect *e, unsigned when, struct text value);

const char *null_reply(const struct client *c);
